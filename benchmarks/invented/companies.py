"""The invented companies."""

from benchmarks.invented import (
    airline,
    archive,
    bakery,
    clinic,
    council,
    covenant,
    flea,
    fleet,
    forge,
    harbour,
    helpdesk,
    housing,
    insurer,
    ledger,
    lender,
    mall,
    meals,
    museum,
    newsroom,
    ops,
    recruiter,
    school,
    studio,
    trials,
    utility,
    voyage,
)

_MODULES = (
    airline, archive, bakery, clinic, council, covenant, flea, fleet, forge, harbour, helpdesk, housing, insurer,
    ledger, lender, mall, meals, museum, newsroom, ops, recruiter, school, studio, trials, utility, voyage,
)  # fmt: skip

COMPANIES = {module.COMPANY.name: module.COMPANY for module in _MODULES}
