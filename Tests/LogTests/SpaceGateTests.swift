import Foundation
import TallyLog
import Testing

@Suite struct SpaceGateTests {
    @Test("a gate is shut until it was opened as often")
    func counted() {
        let gate = SpaceGate()
        #expect(!gate.isShut)
        gate.shut()
        gate.shut()
        gate.open()
        #expect(gate.isShut)
        gate.open()
        #expect(!gate.isShut)
    }

    @Test("work that takes long does not keep the gate shut, and the next work shuts it again")
    func long() {
        let gate = SpaceGate(shutMax: .milliseconds(200))
        gate.shut()
        #expect(gate.isShut)
        Thread.sleep(forTimeInterval: 0.3)
        #expect(!gate.isShut)
        gate.shut()
        #expect(gate.isShut)
        gate.open()
        gate.open()
        #expect(!gate.isShut)
    }
}
