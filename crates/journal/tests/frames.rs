//! Frames: round trip, truncation at every byte, every bit flipped, random bytes. Refuses a panic
//! and a wrong record; what decodes must have been a frame.

use proptest::prelude::*;
use regie_journal::*;

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..12)
}

fn records(frame: Vec<u8>) -> Result<Vec<Vec<u8>>, FrameError> {
    let batch = Batch::new(Position(1), 0, frame)?;
    Ok(batch.records().map(|record| record.payload.to_vec()).collect())
}

proptest! {
    #[test]
    fn round_trip(payloads in payloads(), first in 1..u64::from(u32::MAX), at_ms: i64) {
        let frame = encode_frame(&payloads).expect("small");
        prop_assert_eq!(decode_frame(&frame), Ok(payloads.len()));
        let batch = Batch::new(Position(first), at_ms, frame).expect("a frame");
        prop_assert_eq!(batch.len(), payloads.len());
        prop_assert_eq!(batch.last().0 + 1 - batch.first().0, payloads.len() as u64);
        for (index, (record, payload)) in batch.records().zip(&payloads).enumerate() {
            prop_assert_eq!(record.position, Position(first + index as u64));
            prop_assert_eq!(record.at_ms, at_ms);
            prop_assert_eq!(record.payload, &payload[..]);
        }
    }

    #[test]
    fn cut_anywhere_it_is_no_frame(payloads in payloads()) {
        let frame = encode_frame(&payloads).expect("small");
        for length in 0..frame.len() {
            prop_assert!(records(frame[..length].to_vec()).is_err());
        }
        let mut longer = frame;
        longer.push(0);
        prop_assert_eq!(records(longer), Err(FrameError::Trailing { count_bytes: 1 }));
    }

    /// A flipped bit in a length or count is an error or another whole frame (which the checksum
    /// then refuses); it never reads outside and never panics.
    #[test]
    fn flipped_bits_never_panic(payloads in payloads()) {
        let frame = encode_frame(&payloads).expect("small");
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match records(flipped.clone()) {
                Ok(read) => prop_assert_eq!(encode_frame(&read).expect("small"), flipped),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn anything_that_decodes_is_exactly_a_frame(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = vec![1, 0, 0, 0];
        framed.extend_from_slice(&bytes);
        for bytes in [bytes, framed] {
            if let Ok(read) = records(bytes.clone()) {
                prop_assert_eq!(encode_frame(&read).expect("small"), bytes);
            }
        }
    }
}

#[test]
fn the_first_eight_bytes_are_bounded() {
    let frame = |count: u32| [&[1, 0, 0, 0], &count.to_le_bytes()[..]].concat();
    assert!(matches!(decode_frame(&frame(0)), Err(FrameError::TooLarge { .. })));
    assert!(matches!(decode_frame(&frame(65_537)), Err(FrameError::TooLarge { max: 65_536, .. })));
    assert!(matches!(decode_frame(&frame(1)), Err(FrameError::Truncated { .. })));
    let mut long = frame(1);
    long.extend_from_slice(&(RECORD_BYTES_MAX as u32 + 1).to_le_bytes());
    assert!(matches!(decode_frame(&long), Err(FrameError::TooLarge { max: 1_048_576, .. })));
    assert!(matches!(decode_frame(&[2, 0, 0, 0]), Err(FrameError::Version { found: [2, 0, 0, 0] })));
}
