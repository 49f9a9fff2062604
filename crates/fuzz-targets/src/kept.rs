//! Formats that are kept or handed out: tickets, click ids, events, frames, checkpoints, tables.

use crate::KEY;
use regie::platform::intake::{open_click_id, seal_click_id};
use regie_decide::Tables;
use regie_journal::{Batch, Position, decode_frame, encode_frame};
use regie_ledger::Ledger;
use regie_model::{
    UtcMs,
    event::Event,
    ticket::{TICKET_BYTES, Ticket},
};

/// A ticket's sealed text: what opens is sealed to the same text.
pub fn ticket_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(ticket) = Ticket::open(&text, &[KEY]) {
        assert_eq!(ticket.key_id, KEY.id);
        let again = Ticket::open(&ticket.seal(&KEY), &[KEY]);
        assert!(again.is_ok_and(|again| again.to_bytes() == ticket.to_bytes()));
    }
}

/// A ticket's bytes, beneath the seal.
pub fn ticket_bytes(bytes: &[u8]) {
    let Ok(ticket) = Ticket::from_bytes(bytes) else { return };
    let written = ticket.to_bytes();
    assert!(Ticket::from_bytes(&written).is_ok_and(|again| again.to_bytes() == written));
    let _ = ticket.country_text();
    let ticket = Ticket { key_id: KEY.id, ..ticket };
    let opened = Ticket::open(&ticket.seal(&KEY), &[KEY]);
    assert!(opened.is_ok_and(|opened| opened.to_bytes() == ticket.to_bytes()));
}

/// A click id, with a valid seal and without.
pub fn click_id(bytes: &[u8]) {
    if let Ok((ticket, at)) = open_click_id(&String::from_utf8_lossy(bytes), &[KEY]) {
        assert!(open_click_id(&seal_click_id(&ticket, at, &[KEY]), &[KEY]).is_ok());
    }
    let Some((ticket, rest)) = bytes.split_at_checked(TICKET_BYTES) else { return };
    let Ok(ticket) = Ticket::from_bytes(ticket) else { return };
    let ticket = Ticket { key_id: KEY.id, ..ticket };
    let at = UtcMs(rest.first_chunk().map_or(0, |time| i64::from_le_bytes(*time)));
    let opened = open_click_id(&seal_click_id(&ticket, at, &[KEY]), &[KEY]);
    assert!(opened.is_ok_and(|(again, time)| again.to_bytes() == ticket.to_bytes() && time == at));
}

/// A journal record: what is read is written, and read, the same again.
pub fn event(bytes: &[u8]) {
    let Ok(event) = Event::decode(bytes) else { return };
    let written = event.encode();
    let again = Event::decode(&written);
    assert!(again.is_ok_and(|again| again.encode() == written), "{event:?}");
    assert_eq!(event.decision(), event.ticket().map(|ticket| ticket.id));
}

/// A frame of the journal: what is taken apart is put together to the same bytes.
pub fn frame(bytes: &[u8]) {
    let Ok(count) = decode_frame(bytes) else { return };
    let batch = Batch::new(Position(1), 0, bytes.to_vec()).expect("the frame was read");
    let payloads: Vec<Vec<u8>> = batch.records().map(|record| record.payload.to_vec()).collect();
    assert_eq!(payloads.len(), count);
    assert_eq!(encode_frame(&payloads).expect("the frame was read"), bytes);
}

/// A checkpoint of the ledger as it is, and its payload under a hash that fits.
pub fn checkpoint(bytes: &[u8]) {
    read_checkpoint(bytes);
    if let Some((head, payload)) = bytes.split_at_checked(42) {
        let hash = blake3::hash(payload);
        read_checkpoint(&[&head[..10], hash.as_bytes(), payload].concat());
    }
}
fn read_checkpoint(bytes: &[u8]) {
    let Ok(ledger) = Ledger::from_bytes(bytes) else { return };
    let written = ledger.to_bytes();
    let again = Ledger::from_bytes(&written).expect("what was written is read");
    assert_eq!(again.state_hash(), ledger.state_hash());
    assert_eq!(again.to_bytes(), written);
}

/// Tables of pacing and rates: what is read is canonical from then on.
pub fn tables(bytes: &[u8]) {
    let Some(tables) = Tables::from_bytes(bytes) else { return };
    let again = Tables::from_bytes(&tables.to_bytes());
    assert!(again.is_some_and(|again| again.hash() == tables.hash() && again == tables));
}
