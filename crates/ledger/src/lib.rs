//! Folds that count: budgets, charges, duplicates, reports, invoices.
//!
//! A [`Ledger`] is a deterministic fold over the journal: `apply(position, at, event)`, in order and without
//! gaps. It alone decides what is billed. It refuses IO, a clock and randomness: times come with the events,
//! and what must be stored is handed to the server as bytes.
//!
//! Laws it holds, each checked in production as well as in tests:
//! * **B1** an event is charged min(its ticket's price, the smallest remaining budget it draws on); the rest
//!   is free and counted apart. A charge belongs to the account-zone day of its append time. A credit is never
//!   more than its charge and re-opens no campaign or ad set budget.
//! * **B2** balances equal a fold of the journal: a checkpoint continues exactly as the fold it was made of,
//!   and [`Ledger::state_hash`] compares a rebuild with the running state.
//! * **B3** an event bills at most once, however often it is sent; outside its window it bills never.
//!
//! [`audit`] computes the same laws again, slowly and plainly, to check this crate by.

mod apply;
pub mod audit;
mod books;
mod budget;
mod cells;
mod charges;
mod checkpoint;
mod counters;
mod credit;
mod deliver;
mod flat_fee;
mod hash;
mod invoice;
mod outcome;
mod rows;
mod traffic;
mod uses;
mod views;

pub use apply::{EPOCH_KEPT_MS, FUTURE_TOLERANCE_MS, Ledger};
pub use books::{ChargeKind, Counts, Loss};
pub use cells::{CELLS_COUNT_MAX, Cells};
pub use charges::{BLOCK_POSITIONS_COUNT, BLOCKS_CACHED_MAX, BlockError, Charge, ChargeAt, ChargeBlock};
pub use checkpoint::CheckpointError;
pub use counters::{Counters, EventKind, RefusalKey};
pub use flat_fee::DUE_FLAT_FEES_COUNT_MAX;
pub use invoice::{Invoice, InvoiceLine, IssuedInvoice};
pub use outcome::{CreditRefusal, FreeReason, LawBroken, Limit, NotDue, Outcome, Refusal, Unknown};
pub use traffic::{SiteHour, TRAFFIC_HOURS_COUNT, Traffic};
pub use views::{AccountView, BudgetView, Remaining, Scope};
