//! What happened: the events of the one journal, and their bytes.
//!
//! A record is `kind: u8, version: u8, payload`. Delivery events copy their ticket's 128 bytes; commands and
//! aggregates are JSON, which tolerates added fields. A kind and version, once written, is read for ever:
//! [`Event::decode`] is the permanent upcaster (docs/EVENTS.md).

use crate::{
    AdId, AdSetId, AdvertiserId, CampaignId, Day, PlacementId, SiteId, TokenId, UserId, UtcMs, VersionId,
    command::Change,
    ticket::{DeviceClass, TICKET_BYTES, Ticket, TicketId},
};
use serde::{Deserialize, Serialize};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A signed-in person.
    User(UserId),
    /// An API token.
    Token(TokenId),
    /// The operator at the command line.
    Operator,
    /// Regie itself, by the name of the job.
    Job(String),
}

/// A command that was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booked {
    /// Who.
    pub by: Actor,
    /// When it was accepted: not before any earlier one. (The append time, a moment later, is the journal's.)
    pub at: UtcMs,
    /// What.
    pub change: Change,
}

/// How a conversion was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversionSource {
    /// Server to server, with a scoped token.
    Server,
    /// By a pixel: unauthenticated.
    Pixel,
}

/// An action after a click.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// The ticket of the click.
    pub ticket: Ticket,
    /// When the click was.
    pub clicked_at: UtcMs,
    /// Which action, at most 64 bytes.
    pub action: String,
    /// Keyed hash of the advertiser's order id (never the id itself).
    pub order: [u8; 16],
    /// Value in micros of the account's currency, as reported.
    pub value_micros: i64,
    /// How it was reported.
    pub source: ConversionSource,
}

/// What reports count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RollupKey {
    /// Campaign.
    pub campaign: CampaignId,
    /// Ad set.
    pub ad_set: AdSetId,
    /// Ad.
    pub ad: AdId,
    /// Version.
    pub version: VersionId,
    /// Placement.
    pub placement: PlacementId,
    /// ISO 3166-1 code, zeros when unknown.
    pub country: [u8; 2],
    /// [`DeviceClass`] as a number.
    pub device: u8,
}
impl RollupKey {
    /// Of a ticket.
    pub fn of(ticket: &Ticket) -> RollupKey {
        RollupKey {
            campaign: ticket.campaign,
            ad_set: ticket.ad_set,
            ad: ticket.ad,
            version: ticket.version,
            placement: ticket.placement,
            country: ticket.country,
            device: ticket.device as u8,
        }
    }
    /// The device class.
    pub fn device_class(&self) -> DeviceClass {
        DeviceClass::from_u8(self.device)
    }
}

/// Decisions of one placement since the last such event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementTraffic {
    /// Which placement.
    pub placement: PlacementId,
    /// On which site.
    pub site: SiteId,
    /// Requests for it.
    pub requests_count: u64,
    /// Of these answered with an ad.
    pub fills_count: u64,
    /// Of these not, by reason.
    #[serde(default)]
    pub no_fills: Vec<(String, u64)>,
}

/// Requests for one placement by where they came from and from what: what forecasts are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asked {
    /// For which placement.
    pub placement: PlacementId,
    /// On which site.
    pub site: SiteId,
    /// ISO 3166-1 code, zeros when unknown.
    pub country: [u8; 2],
    /// [`DeviceClass`] as a number.
    pub device: u8,
    /// So many.
    pub requests_count: u64,
}

/// Decisions in aggregate: journalled once a minute or sooner, never one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The minute (since 1970) that the counts belong to.
    pub minute: i64,
    /// By placement.
    pub placements: Vec<PlacementTraffic>,
    /// Ads handed out, by what reports count by.
    pub served: Vec<(RollupKey, u64)>,
    /// Events refused before the journal (forged, malformed, ...), by reason.
    #[serde(default)]
    pub refused: Vec<(String, u64)>,
    /// Why ad sets were not shown: (ad set, reason, count), largest first, bounded.
    #[serde(default)]
    pub eliminated: Vec<(AdSetId, String, u64)>,
    /// Requests by placement, country and device; the largest rows, the rest under an unknown country. Since
    /// version 2 of the event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
}

/// Inputs of one decision, kept for replay (law D1). JSON of `decide`'s own input type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionSample {
    /// Which decision.
    pub epoch: u32,
    /// Which decision.
    pub sequence: u64,
    /// The inputs and the answer.
    pub inputs: serde_json::Value,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A command was accepted.
    Booked(Box<Booked>),
    /// An ad was shown.
    Impression(Ticket),
    /// It was seen (MRC).
    Viewable(Ticket),
    /// It was clicked.
    Click(Ticket),
    /// An action followed.
    Conversion(Box<Conversion>),
    /// A server started; tickets of this epoch follow.
    EpochOpened {
        /// Larger than any before.
        epoch: u32,
    },
    /// Decisions in aggregate.
    Traffic(Box<Traffic>),
    /// One day of a flat fee; a second one for the same day changes nothing.
    FlatFeeAccrued {
        /// Which ad set.
        ad_set: AdSetId,
        /// Account-zone day of the flight.
        day: Day,
    },
    /// Inputs of a decision were kept.
    Sampled(Box<DecisionSample>),
    /// A law was found broken: billing stops (the evidence stays).
    LawBroken {
        /// Id of the law.
        law: String,
        /// What was found.
        detail: String,
    },
    /// An invoice was closed for a month; its number is the next one.
    InvoiceIssued {
        /// Whose.
        advertiser: AdvertiserId,
        /// Year.
        year: i16,
        /// 1 to 12.
        month: i8,
    },
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Too short, or damaged.
    #[error("an event record is damaged: {0}")]
    Damaged(String),
    /// Written by a later version of Regie.
    #[error("an event of kind {kind} version {version}, which this version of Regie does not know; upgrade")]
    Unknown {
        /// Kind byte.
        kind: u8,
        /// Version byte.
        version: u8,
    },
}

const BOOKED: u8 = 1;
const IMPRESSION: u8 = 2;
const VIEWABLE: u8 = 3;
const CLICK: u8 = 4;
const CONVERSION: u8 = 5;
const EPOCH: u8 = 6;
const TRAFFIC: u8 = 7;
const FLAT_FEE: u8 = 8;
const SAMPLED: u8 = 9;
const LAW: u8 = 10;
const INVOICE: u8 = 11;

impl Event {
    /// A stable name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Booked(_) => "booked",
            Event::Impression(_) => "impression",
            Event::Viewable(_) => "viewable",
            Event::Click(_) => "click",
            Event::Conversion(_) => "conversion",
            Event::EpochOpened { .. } => "epoch_opened",
            Event::Traffic(_) => "traffic",
            Event::FlatFeeAccrued { .. } => "flat_fee_accrued",
            Event::Sampled(_) => "sampled",
            Event::LawBroken { .. } => "law_broken",
            Event::InvoiceIssued { .. } => "invoice_issued",
        }
    }
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Event::Booked(booked) => json(BOOKED, booked),
            Event::Impression(ticket) => with_ticket(IMPRESSION, ticket),
            Event::Viewable(ticket) => with_ticket(VIEWABLE, ticket),
            Event::Click(ticket) => with_ticket(CLICK, ticket),
            Event::Conversion(conversion) => encode_conversion(conversion),
            Event::EpochOpened { epoch } => {
                let mut bytes = vec![EPOCH, 1];
                bytes.extend_from_slice(&epoch.to_le_bytes());
                bytes
            }
            Event::Traffic(traffic) => {
                let mut bytes = json(TRAFFIC, traffic);
                // Without the rows of version 2 it is what version 1 was.
                bytes[1] = if traffic.asked.is_empty() { 1 } else { 2 };
                bytes
            }
            Event::FlatFeeAccrued { ad_set, day } => {
                let mut bytes = vec![FLAT_FEE, 1];
                bytes.extend_from_slice(&ad_set.0.to_le_bytes());
                bytes.extend_from_slice(&day.0.to_le_bytes());
                bytes
            }
            Event::Sampled(sample) => json(SAMPLED, sample),
            Event::LawBroken { law, detail } => json(LAW, &(law, detail)),
            Event::InvoiceIssued { advertiser, year, month } => json(INVOICE, &(advertiser, year, month)),
        }
    }
    /// Reads a record back, of any version ever written.
    ///
    /// # Errors
    /// [`EventError`]; never panics, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Event, EventError> {
        let [kind, version, payload @ ..] = bytes else {
            return Err(EventError::Damaged("shorter than its header".into()));
        };
        match (*kind, *version) {
            (BOOKED, 1) => Ok(Event::Booked(Box::new(from_json(payload)?))),
            (IMPRESSION, 1) => read_ticket(payload).map(Event::Impression),
            (VIEWABLE, 1) => read_ticket(payload).map(Event::Viewable),
            (CLICK, 1) => read_ticket(payload).map(Event::Click),
            (CONVERSION, 1) => decode_conversion(payload).map(|c| Event::Conversion(Box::new(c))),
            (EPOCH, 1) => {
                let bytes = payload.try_into().map_err(|_| EventError::Damaged("epoch".into()))?;
                Ok(Event::EpochOpened { epoch: u32::from_le_bytes(bytes) })
            }
            (TRAFFIC, 1 | 2) => Ok(Event::Traffic(Box::new(from_json(payload)?))),
            (FLAT_FEE, 1) => {
                let bytes: [u8; 8] =
                    payload.try_into().map_err(|_| EventError::Damaged("flat fee".into()))?;
                let [a, b, c, d, e, f, g, h] = bytes;
                Ok(Event::FlatFeeAccrued {
                    ad_set: AdSetId(u32::from_le_bytes([a, b, c, d])),
                    day: Day(i32::from_le_bytes([e, f, g, h])),
                })
            }
            (SAMPLED, 1) => Ok(Event::Sampled(Box::new(from_json(payload)?))),
            (LAW, 1) => from_json(payload).map(|(law, detail)| Event::LawBroken { law, detail }),
            (INVOICE, 1) => from_json(payload).map(|(advertiser, year, month)| Event::InvoiceIssued {
                advertiser,
                year,
                month,
            }),
            (kind, version) => Err(EventError::Unknown { kind, version }),
        }
    }
    /// The ticket that the event copies, if it is a delivery event.
    pub fn ticket(&self) -> Option<&Ticket> {
        match self {
            Event::Impression(t) | Event::Viewable(t) | Event::Click(t) => Some(t),
            Event::Conversion(c) => Some(&c.ticket),
            _ => None,
        }
    }
    /// The decision that the event belongs to.
    pub fn decision(&self) -> Option<TicketId> {
        self.ticket().map(|t| t.id)
    }
}

fn json<T: Serialize>(kind: u8, value: &T) -> Vec<u8> {
    let mut bytes = vec![kind, 1];
    // Writing JSON of our own types to memory cannot fail: no maps with other keys than strings, no IO.
    serde_json::to_writer(&mut bytes, value).unwrap_or_default();
    bytes
}
fn from_json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, EventError> {
    serde_json::from_slice(payload).map_err(|e| EventError::Damaged(e.to_string()))
}
fn with_ticket(kind: u8, ticket: &Ticket) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + TICKET_BYTES);
    bytes.extend_from_slice(&[kind, 1]);
    bytes.extend_from_slice(&ticket.to_bytes());
    bytes
}
fn read_ticket(payload: &[u8]) -> Result<Ticket, EventError> {
    Ticket::from_bytes(payload).map_err(|e| EventError::Damaged(e.to_string()))
}
fn encode_conversion(c: &Conversion) -> Vec<u8> {
    let mut bytes = with_ticket(CONVERSION, &c.ticket);
    bytes.extend_from_slice(&c.clicked_at.0.to_le_bytes());
    bytes.extend_from_slice(&c.order);
    bytes.extend_from_slice(&c.value_micros.to_le_bytes());
    bytes.push(match c.source {
        ConversionSource::Server => 0,
        ConversionSource::Pixel => 1,
    });
    bytes.extend_from_slice(c.action.as_bytes());
    bytes
}
fn decode_conversion(payload: &[u8]) -> Result<Conversion, EventError> {
    const FIXED: usize = TICKET_BYTES + 8 + 16 + 8 + 1;
    if payload.len() < FIXED {
        return Err(EventError::Damaged("a conversion is too short".into()));
    }
    let (ticket, rest) = payload.split_at(TICKET_BYTES);
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&rest[at..at + 8]);
        i64::from_le_bytes(eight)
    };
    let mut order = [0; 16];
    order.copy_from_slice(&rest[8..24]);
    Ok(Conversion {
        ticket: read_ticket(ticket)?,
        clicked_at: UtcMs(number(0)),
        order,
        value_micros: number(24),
        source: if rest[32] == 0 { ConversionSource::Server } else { ConversionSource::Pixel },
        action: String::from_utf8(rest[33..].to_vec())
            .map_err(|_| EventError::Damaged("a conversion's action".into()))?,
    })
}
