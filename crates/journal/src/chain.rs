//! The chain: a hash per batch that covers it and every batch before it. Refuses to be keyed or
//! signed; it makes change visible, it does not say by whom. Serves L1 and `check`.

use crate::Position;

const DOMAIN: &[u8; 24] = b"regie-journal-chain-v1\0\0";

/// A BLAKE3 hash over all batches up to one. All zero before the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The value before the first batch.
    pub const GENESIS: ChainHash = ChainHash([0; 32]);

    /// The first batch's place and time, mixed with what came before and the frame.
    pub(crate) fn advance(&self, header: &BatchHeader, frame: &[u8]) -> ChainHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        hasher.update(&self.0);
        hasher.update(&header.to_bytes());
        hasher.update(&(frame.len() as u64).to_le_bytes());
        hasher.update(frame);
        ChainHash(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// What is stored beside a frame and covered by its checksum and by the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub first: Position,
    pub count: u32,
    pub at_ms: i64,
}

impl BatchHeader {
    fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..].copy_from_slice(&self.at_ms.to_le_bytes());
        bytes
    }

    /// CRC-32 (ISO-HDLC) over header and frame: what every read checks, being cheap.
    pub(crate) fn checksum(&self, frame: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.to_bytes());
        hasher.update(frame);
        hasher.finalize()
    }

    pub(crate) fn last(&self) -> Position {
        Position(self.first.0 + u64::from(self.count) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_depends_on_everything() {
        let header = BatchHeader { first: Position(1), count: 2, at_ms: 3 };
        let base = ChainHash::GENESIS.advance(&header, b"frame");
        let mut others = vec![ChainHash::GENESIS.advance(&header, b"framE")];
        others.push(base.advance(&header, b"frame"));
        for changed in [
            BatchHeader { first: Position(2), ..header },
            BatchHeader { count: 3, ..header },
            BatchHeader { at_ms: 4, ..header },
        ] {
            others.push(ChainHash::GENESIS.advance(&changed, b"frame"));
            assert_ne!(changed.checksum(b"frame"), header.checksum(b"frame"));
        }
        assert!(others.iter().all(|other| *other != base));
    }

    /// The format promise: this value may never change.
    #[test]
    fn chain_is_stable() {
        let header = BatchHeader { first: Position(1), count: 1, at_ms: 1_700_000_000_000 };
        let frame = crate::encode_frame(&[b"regie".to_vec()]).expect("small");
        assert_eq!(
            ChainHash::GENESIS.advance(&header, &frame).to_string(),
            "c0e9eae3348891f4806d52abe12dfb0497465f48d77d1a05d5ea427e0b4870d7"
        );
        assert_eq!(header.checksum(&frame), 0x5186c912);
    }
}
