"""The invented companies."""

from benchmarks.invented import airline, clinic, housing, lender, mall, ops, school, studio

COMPANIES = {
    company.name: company
    for company in (airline.COMPANY, clinic.COMPANY, housing.COMPANY, lender.COMPANY, mall.COMPANY, ops.COMPANY, school.COMPANY, studio.COMPANY)
}
