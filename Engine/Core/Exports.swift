// An application imports `Tally` and gets the types that its interface speaks of.
@_exported public import TallyRecords
