//! What visitors' browsers and advertisers' servers report: sealed tickets in, events out.
//!
//! Refuses what is forged or malformed before the journal (counted by reason). Whether an event is late, a duplicate,
//! or billed is decided later, by the ledger, in journal order.

use super::Platform;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use regie_model::{
    AdvertiserId, UtcMs,
    event::{Conversion, ConversionSource, Event},
    ticket::{MAC_BYTES, TICKET_BYTES, Ticket, TicketError, TicketKey},
};

/// What a beacon reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shown.
    Impression,
    /// Seen.
    Viewable,
    /// Clicked.
    Click,
}
impl Kind {
    /// By its word.
    pub fn from_word(word: &str) -> Option<Kind> {
        match word {
            "impression" => Some(Kind::Impression),
            "viewable" => Some(Kind::Viewable),
            "click" => Some(Kind::Click),
            _ => None,
        }
    }
}

/// Reason words, as they are counted.
pub fn reason(error: TicketError) -> &'static str {
    match error {
        TicketError::Malformed => "malformed",
        TicketError::Unknown => "unknown_key",
        TicketError::Forged => "forged",
    }
}

/// Bytes of an opened click id: ticket, time of the click.
const CLICK_BYTES: usize = TICKET_BYTES + 8;

/// Seals a click id with the key of the ticket's number.
pub fn seal_click_id(ticket: &Ticket, clicked_at: UtcMs, keys: &[TicketKey]) -> String {
    let mut bytes = [0u8; CLICK_BYTES + MAC_BYTES];
    bytes[..TICKET_BYTES].copy_from_slice(&ticket.to_bytes());
    bytes[TICKET_BYTES..CLICK_BYTES].copy_from_slice(&clicked_at.0.to_le_bytes());
    let mac = click_mac(&bytes[..CLICK_BYTES], ticket.key_id, keys).unwrap_or_default();
    bytes[CLICK_BYTES..].copy_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Opens a click id with the key of its number: the ticket, and when it was clicked.
///
/// # Errors
/// What is wrong with it; never panics.
pub fn open_click_id(text: &str, keys: &[TicketKey]) -> Result<(Ticket, UtcMs), TicketError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TicketError::Malformed)?;
    if bytes.len() != CLICK_BYTES + MAC_BYTES {
        return Err(TicketError::Malformed);
    }
    let (signed, given) = bytes.split_at(CLICK_BYTES);
    let wanted = click_mac(signed, signed[1], keys).ok_or(TicketError::Unknown)?;
    if wanted.iter().zip(given).fold(0u8, |d, (a, b)| d | (a ^ b)) != 0 {
        return Err(TicketError::Forged);
    }
    let mut time = [0; 8];
    time.copy_from_slice(&signed[TICKET_BYTES..]);
    Ok((Ticket::from_bytes(&signed[..TICKET_BYTES])?, UtcMs(i64::from_le_bytes(time))))
}

fn click_mac(bytes: &[u8], key_id: u8, keys: &[TicketKey]) -> Option<[u8; MAC_BYTES]> {
    let key = keys.iter().find(|k| k.id == key_id)?;
    let derived = blake3::derive_key("regie click id v1", &key.secret);
    let mut short = [0; MAC_BYTES];
    short.copy_from_slice(&blake3::keyed_hash(&derived, bytes).as_bytes()[..MAC_BYTES]);
    Some(short)
}

impl Platform {
    /// Opens a ticket.
    ///
    /// # Errors
    /// What is wrong with it; it is counted.
    pub fn open_ticket(&self, text: &str) -> Result<Ticket, TicketError> {
        Ticket::open(text, &self.keys).inspect_err(|error| self.traffic.refused(reason(*error)))
    }
    /// The event that a beacon reports.
    ///
    /// # Errors
    /// As [`Platform::open_ticket`].
    pub fn beacon(&self, kind: Kind, text: &str) -> Result<Event, TicketError> {
        let ticket = self.open_ticket(text)?;
        Ok(match kind {
            Kind::Impression => Event::Impression(ticket),
            Kind::Viewable => Event::Viewable(ticket),
            Kind::Click => Event::Click(ticket),
        })
    }
    /// The click id that the landing page receives: ticket and time, sealed.
    pub fn click_id(&self, ticket: &Ticket, clicked_at: UtcMs) -> String {
        seal_click_id(ticket, clicked_at, &self.keys)
    }
    /// Opens a click id: the ticket, and when it was clicked.
    ///
    /// # Errors
    /// What is wrong with it; it is counted.
    pub fn open_click_id(&self, text: &str) -> Result<(Ticket, UtcMs), TicketError> {
        let opened = open_click_id(text, &self.keys);
        opened.inspect_err(|error| self.traffic.refused(reason(*error)))
    }
    /// The event of a conversion: the latest valid click of those named counts ("last valid click"). `only`: clicks on
    /// this advertiser's ads come before those on others'.
    ///
    /// # Errors
    /// The last fault, when no click id is valid.
    pub fn conversion(
        &self,
        click_ids: &[&str],
        only: Option<AdvertiserId>,
        action: &str,
        order: &str,
        value_micros: i64,
        source: ConversionSource,
    ) -> Result<Event, TicketError> {
        let mut fault = TicketError::Malformed;
        let mut latest: Option<(Ticket, UtcMs)> = None;
        let rank = |(ticket, at): &(Ticket, UtcMs)| (only.is_none_or(|id| ticket.advertiser == id), *at);
        for text in click_ids {
            match self.open_click_id(text) {
                Ok(click) if latest.as_ref().is_none_or(|l| rank(&click) > rank(l)) => latest = Some(click),
                Ok(_) => {}
                Err(error) => fault = error,
            }
        }
        let (ticket, clicked_at) = latest.ok_or(fault)?;
        let order = self.order_hash(&ticket, order);
        let action = action.to_owned();
        Ok(Event::Conversion(Box::new(Conversion {
            ticket,
            clicked_at,
            action,
            order,
            value_micros,
            source,
        })))
    }
    /// An order id is kept only as a keyed hash.
    fn order_hash(&self, ticket: &Ticket, order: &str) -> [u8; 16] {
        let secret = self.keys.first().map(|k| k.secret).unwrap_or_default();
        let key = blake3::derive_key("regie order id v1", &secret);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&ticket.advertiser.0.to_le_bytes()).update(order.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        short
    }
}
