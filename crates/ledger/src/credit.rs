//! Credits: a charge turns out invalid later, and its money goes back.
//!
//! Refuses more than the charge, in sum over all its credits (law B1), and never re-opens the campaign's or ad
//! set's budget: only the account has its money again. A credit belongs to the day, month and hour of its own
//! append time, so that an invoice once issued never changes.

use crate::{
    apply::Ledger,
    charges::ChargeAt,
    counters::Counters,
    outcome::{CreditRefusal, Outcome},
};
use regie_model::{AdvertiserId, Nanos, UtcMs};

impl Ledger {
    /// Grants the smaller of `asked_nanos` and what is left of the charge at `position`, whose block is in
    /// memory (see [`Outcome::NeedsBlock`]).
    pub(crate) fn credit(
        &mut self,
        at: UtcMs,
        advertiser: AdvertiserId,
        position: u64,
        asked_nanos: i64,
    ) -> Outcome {
        let ChargeAt::Charge(charge) = self.charges.charge_at(position) else {
            return Outcome::CreditRefused(CreditRefusal::NoCharge);
        };
        let Some(index) = self.state.books.ad_set_index(charge.key.ad_set) else {
            return Outcome::CreditRefused(CreditRefusal::NoCharge);
        };
        let account = self.state.books.ad_sets[index].account as usize;
        if self.state.books.accounts[account].id != advertiser {
            return Outcome::CreditRefused(CreditRefusal::OtherAdvertiser);
        }
        let here = self.state.position;
        let (charge, granted) = match self.charges.credit(position, here, i128::from(asked_nanos)) {
            Ok(credited) => credited,
            Err(refusal) => return Outcome::CreditRefused(refusal),
        };
        let books = &mut self.state.books;
        let today = books.accounts[account].day_at(at);
        books.accounts[account].credited += granted;
        let ad_set = &mut books.ad_sets[index];
        ad_set.budget.credited += granted;
        ad_set.month_row(today.month, charge.kind).credited += granted;
        books.campaigns[ad_set.campaign as usize].budget.credited += granted;
        let delta = Counters { credited_nanos: Nanos(granted), ..Counters::default() };
        self.note(at, today.day, &charge.key, &delta);
        Outcome::Credited { advertiser, nanos: Nanos(granted) }
    }
}
