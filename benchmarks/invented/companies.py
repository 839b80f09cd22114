"""The invented companies."""

from benchmarks.invented import (
    airline,
    archive,
    bakery,
    clinic,
    fleet,
    housing,
    lender,
    mall,
    museum,
    ops,
    school,
    studio,
)

COMPANIES = {
    module.COMPANY.name: module.COMPANY
    for module in (airline, archive, bakery, clinic, fleet, housing, lender, mall, museum, ops, school, studio)
}
