//! Statements and invoices of an account-zone month.
//!
//! A line is one ad set and charge kind; it is rounded once, half-even, to the currency's minor unit. Numbers
//! are counted by the fold, so they have no gaps; an issued invoice is kept as it was issued. Refuses to close
//! a month that is not over in the account's zone, or one that was closed.

use crate::{
    apply::Ledger,
    books::ChargeKind,
    outcome::{NotDue, Outcome},
};
use regie_model::{AdSetId, AdvertiserId, CampaignId, Currency, Micros, Nanos, UtcMs, money::div_half_even};
use serde::{Deserialize, Serialize};

/// One ad set and charge kind of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its ad set.
    pub ad_set: AdSetId,
    /// What was charged for.
    pub kind: ChargeKind,
    /// Events, or days of a flat fee, that were charged more than nothing.
    pub quantity_count: u64,
    /// Charged; exact.
    pub gross_nanos: Nanos,
    /// Given back in this month, for charges of this month or earlier; exact.
    pub credited_nanos: Nanos,
    /// Gross less credits, rounded half-even to the minor unit; below zero where credits prevail.
    pub net_micros: Micros,
}

/// A month of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Its number, once it is issued; until then this is a statement that may still change.
    pub number: Option<u64>,
    /// Whose.
    pub advertiser: AdvertiserId,
    /// Year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// The account's.
    pub currency: Currency,
    /// By ad set in booking order, then by kind. A line without charge or credit is left out.
    pub lines: Vec<InvoiceLine>,
    /// Sum of the lines; exact.
    pub gross_nanos: Nanos,
    /// Sum of the lines; exact.
    pub credited_nanos: Nanos,
    /// Sum of the rounded lines.
    pub net_micros: Micros,
    /// Tax rate in parts per million.
    pub tax_rate_ppm: u32,
    /// Tax on the net sum, rounded once, half-even, to the minor unit.
    pub tax_micros: Micros,
    /// Net and tax.
    pub total_micros: Micros,
}

/// An invoice as it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedInvoice {
    /// Journal position of the close.
    pub position: u64,
    /// When.
    pub at: UtcMs,
    /// Frozen.
    pub invoice: Invoice,
}

/// Tax on an amount in micros, rounded half-even to the currency's minor unit.
fn tax_half_even_to_minor(net: Micros, rate_ppm: u32, currency: Currency) -> Micros {
    let step = 10i128.pow(6 - currency.minor_digits());
    let tax = div_half_even(i128::from(net.0) * i128::from(rate_ppm), 1_000_000 * step) * step;
    Micros(i64::try_from(tax).unwrap_or(i64::MAX))
}

impl Ledger {
    /// The invoice of a month as issued, or the statement so far; `None` for an unknown account.
    pub fn invoice(&self, advertiser: AdvertiserId, year: i16, month: i8) -> Option<Invoice> {
        let same = |i: &Invoice| i.advertiser == advertiser && i.year == year && i.month == month;
        if let Some(issued) = self.state.issued.iter().find(|issued| same(&issued.invoice)) {
            return Some(issued.invoice.clone());
        }
        self.statement(advertiser, year, month)
    }
    /// All issued invoices: number `n` stands at index `n - 1`.
    pub fn invoices(&self) -> &[IssuedInvoice] {
        &self.state.issued
    }

    fn statement(&self, advertiser: AdvertiserId, year: i16, month: i8) -> Option<Invoice> {
        let books = &self.state.books;
        let index = books.account_index(advertiser)?;
        let currency = books.accounts[index].currency;
        let mut lines = Vec::new();
        for ad_set in books.ad_sets.iter().filter(|s| s.account as usize == index) {
            let Some(of_month) = ad_set.months.iter().find(|m| m.month == (year, month)) else { continue };
            for (kind, row) in ChargeKind::ALL.into_iter().zip(&of_month.rows) {
                if row.gross == 0 && row.credited == 0 {
                    continue;
                }
                lines.push(InvoiceLine {
                    campaign: books.campaigns[ad_set.campaign as usize].id,
                    ad_set: ad_set.id,
                    kind,
                    quantity_count: row.quantity,
                    gross_nanos: Nanos(row.gross),
                    credited_nanos: Nanos(row.credited),
                    net_micros: Nanos(row.gross - row.credited).round_half_even_to_minor(currency),
                });
            }
        }
        let net_micros = Micros(lines.iter().map(|l| l.net_micros.0).sum());
        let tax_micros = tax_half_even_to_minor(net_micros, books.tax_rate_ppm, currency);
        Some(Invoice {
            number: None,
            advertiser,
            year,
            month,
            currency,
            gross_nanos: lines.iter().map(|l| l.gross_nanos).sum(),
            credited_nanos: lines.iter().map(|l| l.credited_nanos).sum(),
            lines,
            net_micros,
            tax_rate_ppm: books.tax_rate_ppm,
            tax_micros,
            total_micros: Micros(net_micros.0 + tax_micros.0),
        })
    }

    pub(crate) fn issue(&mut self, at: UtcMs, advertiser: AdvertiserId, year: i16, month: i8) -> Outcome {
        let Some(index) = self.state.books.account_index(advertiser) else {
            return Outcome::NotDue(NotDue::NotBooked);
        };
        let running = self.state.books.accounts[index].day_at(at).month;
        if !(1..=12).contains(&month) || (year, month) >= running {
            return Outcome::NotDue(NotDue::NotYet);
        }
        let Some(mut invoice) = self.invoice(advertiser, year, month) else {
            return Outcome::NotDue(NotDue::NotBooked);
        };
        if invoice.number.is_some() {
            return Outcome::Duplicate;
        }
        let number = self.state.issued.len() as u64 + 1;
        invoice.number = Some(number);
        self.state.issued.push(IssuedInvoice { position: self.state.position, at, invoice });
        Outcome::Invoiced { number }
    }
}
