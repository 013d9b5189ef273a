import Tally
import TallyWire

/// Where a value comes from, in the protocol's numbers.
enum ConfigSource: Int8 {
    case topic = 1
    case staticBroker = 4
    case preset = 5
}

/// What a configuration belongs to, in the protocol's numbers.
private enum ConfigResourceType: Int8 {
    case topic = 2
    case broker = 4
}

extension Broker {
    /// The configuration of topics, and of the broker.
    func describeConfigs(_ request: DescribeConfigsRequest, _ context: Context) async
        -> DescribeConfigsResponse?
    {
        var response = DescribeConfigsResponse()
        for wanted in request.resources.unique(by: { "\($0.resourceType) \($0.resourceName)" }) {
            var answer = DescribeConfigsResponse.Resource()
            answer.resourceType = wanted.resourceType
            answer.resourceName = wanted.resourceName
            answer.errorMessage = nil
            do {
                let entries = try entries(of: wanted, context)
                let names = wanted.configurationKeys.map { Set($0) }
                // Kafka takes no names for all of them.
                answer.configs =
                    names?.isEmpty ?? true
                    ? entries : entries.filter { names?.contains($0.name) ?? true }
            } catch {
                answer.errorCode = ErrorCode(error)
                answer.errorMessage = "\(error)"
            }
            response.results.append(answer)
        }
        return response
    }

    private func entries(
        of wanted: DescribeConfigsRequest.Resource, _ context: Context
    ) throws -> [DescribeConfigsResponse.Entry] {
        switch ConfigResourceType(rawValue: wanted.resourceType) {
        case .topic:
            let values = try engine.configuration(of: wanted.resourceName)
            return TopicSetting.allCases.map { setting in
                entry(
                    setting.rawValue, values.value(of: setting),
                    values.values[setting.rawValue] == nil ? .preset : .topic, context)
            }
        case .broker:
            guard wanted.resourceName.isEmpty || wanted.resourceName == "\(nodeID)" else {
                throw ClientRequestError.invalidRequest("There is no broker but \(nodeID).")
            }
            return brokerValues.map { name, value in
                var entry = entry(name, value, .staticBroker, context)
                entry.isReadOnly = true
                return entry
            }
        case nil:
            throw ClientRequestError.invalidRequest(
                "Resources of type \(wanted.resourceType) have no configuration here.")
        }
    }

    private var brokerValues: [(String, String)] {
        [
            ("advertised.listeners", "PLAINTEXT://\(address)"),
            ("auto.create.topics.enable", "\(configuration.createsTopicsAutomatically)"),
            ("connections.max.idle.ms", "\(configuration.connectionsIdleMillisecondsMax)"),
            ("fetch.max.bytes", "\(configuration.fetchBytesMax)"),
            ("log.dirs", engine.directory),
            ("node.id", "\(nodeID)"),
            ("num.network.threads", "\(configuration.networkThreadCount)"),
            ("num.partitions", "\(configuration.partitionCount)"),
            ("queued.max.request.bytes", "\(configuration.queuedRequestBytesMax)"),
            ("socket.request.max.bytes", "\(configuration.requestBytesMax)"),
        ]
    }

    private func entry(
        _ name: String, _ value: String, _ source: ConfigSource, _ context: Context
    ) -> DescribeConfigsResponse.Entry {
        var entry = DescribeConfigsResponse.Entry()
        entry.name = name
        entry.value = value
        entry.configSource = source.rawValue
        if context.version >= 3 { entry.documentation = nil }
        return entry
    }

    /// The configuration of topics is replaced: what is not named follows its default again.
    func alterConfigs(_ request: AlterConfigsRequest, _ context: Context) async
        -> AlterConfigsResponse?
    {
        var response = AlterConfigsResponse()
        for resource in request.resources {
            response.responses.append(
                await alter(
                    resource.resourceType, resource.resourceName, request.validateOnly
                ) { current in
                    var wanted = TopicConfiguration()
                    for entry in resource.configs {
                        guard let value = entry.value else { continue }
                        try wanted.set(entry.name, to: value)
                    }
                    current = wanted
                })
        }
        return response
    }

    /// Single settings of topics are changed.
    func incrementalAlterConfigs(
        _ request: IncrementalAlterConfigsRequest, _ context: Context
    ) async -> IncrementalAlterConfigsResponse? {
        var response = IncrementalAlterConfigsResponse()
        for resource in request.resources {
            response.responses.append(
                await alter(
                    resource.resourceType, resource.resourceName, request.validateOnly
                ) { current in
                    for entry in resource.configs { try Self.apply(entry, to: &current) }
                })
        }
        return response
    }

    private static func apply(
        _ entry: IncrementalAlterConfigsRequest.Entry, to current: inout TopicConfiguration
    ) throws {
        switch entry.configOperation {
        case 0: try current.set(entry.name, to: entry.value ?? "")
        case 1: try current.reset(entry.name)
        case 2, 3:
            // Lists: there is one among the settings.
            guard entry.name == TopicSetting.cleanupPolicy.rawValue else {
                throw ClientRequestError.invalidRequest(
                    "\(entry.name) is no list: set it instead of adding to it.")
            }
            let given = (entry.value ?? "").split(separator: ",").map(String.init)
            var values = current.value(of: .cleanupPolicy).split(separator: ",").map(String.init)
            values.removeAll { given.contains($0) }
            if entry.configOperation == 2 { values += given }
            try current.set(entry.name, to: values.joined(separator: ","))
        default:
            throw ClientRequestError.invalidRequest(
                "There is no operation \(entry.configOperation) on settings.")
        }
    }

    private func alter(
        _ type: Int8, _ name: String, _ validateOnly: Bool,
        _ change: (inout TopicConfiguration) throws -> Void
    ) async -> ConfigResourceResult {
        var result = ConfigResourceResult()
        result.resourceType = type
        result.resourceName = name
        result.errorMessage = nil
        do {
            guard type == ConfigResourceType.topic.rawValue else {
                throw ClientRequestError.invalidRequest(
                    "Only topics' settings can be changed; a server's are given when it starts.")
            }
            let current = try engine.configuration(of: name)
            var wanted = current
            try change(&wanted)
            try wanted.checkTogether()
            guard !validateOnly else { return result }
            let removed = current.values.keys.filter { wanted.values[$0] == nil }
            // Only what is other: somebody else may change the rest meanwhile.
            let changed = wanted.values.filter { current.values[$0.key] != $0.value }
            try await alterTopic(name, setting: changed, resetting: removed)
        } catch {
            result.errorCode = ErrorCode(error)
            result.errorMessage = "\(error)"
        }
        return result
    }
}
