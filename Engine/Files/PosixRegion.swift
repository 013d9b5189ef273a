import Glibc

/// A read-only shared mapping by the kernel; unmapped with the object. It does not keep the
/// file's descriptor: mappings outlive it.
@safe
final class PosixRegion: MappedRegion, @unchecked Sendable {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
    let path: String

    /// The kernel's page size, a power of two.
    private static let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))

    init(_ file: PosixFile, byteCount: Int) throws(FileError) {
        let address = unsafe mmap(nil, byteCount, PROT_READ, MAP_SHARED, file.descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw FileError(operation: "map", path: file.path, code: errno)
        }
        unsafe start = address
        self.byteCount = byteCount
        path = file.path
    }

    deinit {
        unsafe munmap(start, byteCount)
    }

    func populate(_ range: Range<Int>) throws(FileError) {
        let pages = pages(of: range)
        do {
            _ = try systemCall("read the mapped pages of", path) {
                unsafe Platform.populate(start + pages.lowerBound, pages.count)
            }
        } catch {
            // EINVAL: the kernel is too old to say; a page that fails is met when it is touched.
            if error.code == EINVAL { return }
            // EFAULT is what it says where touching the page would have raised SIGBUS.
            let code = error.code == EFAULT ? EIO : error.code
            throw FileError(operation: error.operation, path: path, code: code)
        }
    }

    func advise(_ advice: MappingAdvice, _ range: Range<Int>) {
        let pages = pages(of: range)
        let code =
            switch advice {
            case .willNeed: MADV_WILLNEED
            case .dontNeed: MADV_DONTNEED
            }
        _ = unsafe madvise(start + pages.lowerBound, pages.count, Int32(code))
    }

    /// The range, from the start of the page that its first byte is on.
    private func pages(of range: Range<Int>) -> Range<Int> {
        (range.lowerBound & ~(Self.pageByteCount - 1))..<range.upperBound
    }
}
