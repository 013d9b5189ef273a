// An application imports `Tally` and gets the types that its interface speaks of.
@_exported public import TallyFiles
@_exported public import TallyGroups
@_exported public import TallyLog
@_exported public import TallyRecords
@_exported public import TallyTransactions
