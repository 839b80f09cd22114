"""The invented companies."""

from benchmarks.invented import (
    airline,
    archive,
    bakery,
    bank,
    boxoffice,
    clinic,
    coaching,
    council,
    covenant,
    discovery,
    flea,
    fleet,
    forge,
    freight,
    harbour,
    helpdesk,
    housing,
    hrdesk,
    innkeep,
    insurer,
    ledger,
    lender,
    mall,
    meals,
    museum,
    newsroom,
    ops,
    recruiter,
    repair,
    riddles,
    school,
    silt,
    studio,
    trials,
    utility,
    voyage,
)

_MODULES = (
    airline, archive, bakery, bank, boxoffice, clinic, coaching, council, covenant, discovery, flea, fleet, forge,
    freight, harbour, helpdesk, housing, hrdesk, innkeep, insurer, ledger, lender, mall, meals, museum, newsroom, ops,
    recruiter, repair, riddles, school, silt, studio, trials, utility, voyage,
)  # fmt: skip

COMPANIES = {module.COMPANY.name: module.COMPANY for module in _MODULES}
