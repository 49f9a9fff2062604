//! The log's formats against what others published: RFC 6962's reference tree, Go's signed notes, the C2SP examples.
#![allow(clippy::unwrap_used)]

use regie_record::log::{
    Checkpoint, Hash, Note, Policy, Signatory, VerifierKey,
    cosignature::{cosign, witnesses_of},
    hash::leaf_hash,
    note::{NoteError, TYPE_COSIGNATURE, TYPE_ED25519},
    proof::TlogProof,
    tile::{Edge, Kind, Tile, TileError, entries_of, hashes_of, tiles_between},
    tree::{Frontier, Head, SmallTree, verify_consistency, verify_inclusion},
    witness::{AddCheckpoint, Answer, judge},
};

fn hash(hex: &str) -> Hash {
    Hash::from_hex(hex).unwrap()
}
fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("leaf {i}").into_bytes()).collect()
}

/// The eight leaves and roots of RFC 6962's reference implementation (certificate-transparency, merkle tree tests).
#[test]
fn roots_are_those_of_the_reference_tree() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (count, root) in roots.iter().enumerate() {
        assert_eq!(Frontier::of(leaves[..count].iter().copied()).root(), hash(root), "{count} leaves");
    }
    let tree = SmallTree::of(leaves.iter().map(|leaf| leaf_hash(leaf)));
    let path = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    .map(hash);
    assert_eq!(tree.prove(5).unwrap(), path);
    let grown = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    .map(hash);
    assert_eq!(tree.prove_consistency(6, 8).unwrap(), grown);
}

#[test]
fn every_proof_of_small_trees_verifies_and_no_other_does() {
    let leaves = leaves(40);
    let tree = SmallTree::of(leaves.iter().map(|leaf| leaf_hash(leaf)));
    for size in 1..=40u64 {
        let smaller = SmallTree::of(leaves[..size as usize].iter().map(|leaf| leaf_hash(leaf)));
        let head = Head { size, root: smaller.root() };
        assert_eq!(tree.root_at(size), head.root);
        for index in 0..size {
            let leaf = leaf_hash(&leaves[index as usize]);
            let path = smaller.prove(index).unwrap();
            verify_inclusion(leaf, index, size, &path, head.root).unwrap();
            assert!(verify_inclusion(leaf_hash(b"other"), index, size, &path, head.root).is_err());
            assert!(verify_inclusion(leaf, index + 1, size, &path, head.root).is_err());
            let mut longer = path.clone();
            longer.push(leaf);
            assert!(verify_inclusion(leaf, index, size, &longer, head.root).is_err());
            if let Some((_, shorter)) = path.split_last() {
                assert!(verify_inclusion(leaf, index, size, shorter, head.root).is_err());
            }
        }
        for old in 0..=size {
            let before = Head { size: old, root: tree.root_at(old) };
            let path = smaller.prove_consistency(old, size).unwrap();
            verify_consistency(before, head, &path).unwrap();
            let forked = Head { size: old, root: leaf_hash(b"fork") };
            assert!(verify_consistency(forked, head, &path).is_err(), "{old} {size}");
            assert!(old == size || verify_consistency(head, before, &path).is_err());
            for at in 0..path.len() {
                let mut changed = path.clone();
                changed[at].0[0] ^= 1;
                assert!(verify_consistency(before, head, &changed).is_err());
            }
        }
    }
}

#[test]
fn names_of_tiles_have_one_spelling() {
    let tile = Tile { kind: Kind::Hashes(1), index: 1_234_067, width: 256 };
    assert_eq!(tile.path(), "tile/1/x001/x234/067");
    let partial = Tile { kind: Kind::Entries, index: 273, width: 112 };
    assert_eq!(partial.path(), "tile/entries/273.p/112");
    for tile in [tile, partial] {
        assert_eq!(Tile::parse(&tile.path()), Some(tile));
    }
    for path in [
        "tile/01/000",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/07",
        "tile/64/000",
        "tile/0/001/002",
        "tile/0/../000",
        "tile/0/000.p/+7",
    ] {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
    // The example in tlog-tiles, "Partial Tiles".
    let all = tiles_between(0, 70_000);
    let of = |kind| all.iter().filter(|t| t.kind == kind).map(|t| t.width).collect::<Vec<_>>();
    assert_eq!((of(Kind::Hashes(0)).len(), of(Kind::Hashes(0)).last().copied()), (274, Some(112)));
    assert_eq!(of(Kind::Hashes(1)), [256, 17]);
    assert_eq!(of(Kind::Hashes(2)), [1]);
    assert_eq!(
        tiles_between(0, 256).iter().map(Tile::path).collect::<Vec<_>>(),
        ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    );
}

/// Whatever the batches, the files of a size are the same, and an edge read back goes on as the one that was kept.
#[test]
fn the_edge_writes_the_same_files_whatever_the_batches() {
    let leaves = leaves(1_400);
    let mut files = std::collections::BTreeMap::new();
    let mut edge = Edge::default();
    for batch in leaves.chunks(37) {
        for (tile, bytes) in edge.append(batch).unwrap() {
            let before = files.insert(tile, bytes.clone());
            assert!(before.is_none_or(|b| b == bytes), "{} was written anew, otherwise", tile.path());
        }
        let size = edge.size();
        let read = |tile: Tile| files.get(&tile).cloned().ok_or(TileError::Width);
        let again = Edge::load(size, &mut { read }).unwrap();
        assert_eq!(format!("{again:?}"), format!("{edge:?}"), "at {size}");
    }
    let mut whole = Edge::default();
    for (tile, bytes) in whole.append(&leaves).unwrap() {
        assert_eq!(files.get(&tile), Some(&bytes), "{}", tile.path());
        match tile.kind {
            Kind::Entries => drop(entries_of(&bytes, tile.width).unwrap()),
            Kind::Hashes(_) => drop(hashes_of(&bytes, tile.width).unwrap()),
        }
    }
    let frontier = Frontier::of(leaves.iter().map(Vec::as_slice));
    let mut read = |tile: Tile| hashes_of(&files[&tile], tile.width);
    let mut nodes = |level, index| regie_record::log::tile::node_from_tiles(level, index, 1_400, &mut read);
    assert_eq!(Frontier::load::<TileError>(1_400, &mut nodes).unwrap(), frontier);
}

// The key, text and signature of golang.org/x/mod/sumdb/note's tests.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SEED_BASE64: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn notes_are_those_of_the_go_implementation() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = VerifierKey::parse(GO_KEY).unwrap();
    let seed: [u8; 32] = STANDARD.decode(GO_SEED_BASE64).unwrap()[1..].try_into().unwrap();
    let signatory = Signatory::new("PeterNeumann", TYPE_ED25519, &seed).unwrap();
    assert_eq!(signatory.verifier().to_string(), GO_KEY);
    let note = Note::parse(GO_NOTE.as_bytes()).unwrap();
    note.verify(std::slice::from_ref(&key)).unwrap();
    assert_eq!(Note::sign(&note.text, &[&signatory]).unwrap().to_string(), GO_NOTE);
    let changed = Note::parse(GO_NOTE.replace("answer", "Answer").as_bytes()).unwrap();
    assert_eq!(changed.verify(std::slice::from_ref(&key)), Err(NoteError::Forged("PeterNeumann".into())));
    for cut in 1..GO_KEY.len() {
        assert!(VerifierKey::parse(&GO_KEY[cut..]).is_err());
        assert!(VerifierKey::parse(&GO_KEY[..cut]).is_err());
    }
    for cut in 0..GO_NOTE.len() {
        let whole = Note::parse(&GO_NOTE.as_bytes()[..cut])
            .is_ok_and(|n| n.verify(std::slice::from_ref(&key)).is_ok());
        assert!(!whole, "cut at {cut}");
    }
}

fn seed(byte: u8) -> [u8; 32] {
    [byte; 32]
}
fn log_key() -> Signatory {
    Signatory::new("record.example/log", TYPE_ED25519, &seed(1)).unwrap()
}
fn witness_key(byte: u8) -> Signatory {
    Signatory::new(&format!("witness.example/w{byte}"), TYPE_COSIGNATURE, &seed(byte)).unwrap()
}
fn checkpoint(size: usize) -> (Note, Head) {
    let head = Head { size: size as u64, root: Frontier::of(leaves(size).iter().map(Vec::as_slice)).root() };
    (Checkpoint::new("record.example/log", head).sign(&[&log_key()]).unwrap(), head)
}

#[test]
fn a_line_of_an_unknown_key_is_ignored_and_a_doubled_known_one_is_not() {
    let (note, _) = checkpoint(3);
    let stranger = Signatory::new("record.example/log", TYPE_ED25519, &seed(9)).unwrap();
    let mut more = note.clone();
    more.signatures.push(stranger.line("another text\n"));
    Checkpoint::open(more.to_string().as_bytes(), &[log_key().verifier()]).unwrap();
    let mut doubled = note.clone();
    doubled.signatures.push(note.signatures[0].clone());
    assert!(Checkpoint::open(doubled.to_string().as_bytes(), &[log_key().verifier()]).is_err());
    assert!(Checkpoint::open(note.to_string().as_bytes(), &[stranger.verifier()]).is_err());
}

#[test]
fn the_trust_in_a_checkpoint_is_the_verifiers_policy() {
    let keys: Vec<String> = (2..5).map(|byte| witness_key(byte).verifier().to_string()).collect();
    let text = format!(
        "# two of three\nlog {}\nwitness A {}\nwitness B {} https://b.example\nwitness\tC {}\ngroup X 2 A B C\nquorum X\n",
        log_key().verifier(),
        keys[0],
        keys[1],
        keys[2]
    );
    let policy = Policy::parse(&text).unwrap();
    let (mut note, _) = checkpoint(3);
    let trust = |note: &Note| policy.judge(note.to_string().as_bytes()).unwrap().2;
    assert!(!trust(&note).is_witnessed());
    let first = cosign(&note.text, &witness_key(2), 100).unwrap();
    note.signatures.push(first);
    assert!(!trust(&note).is_witnessed(), "one of two");
    let second = cosign(&note.text, &witness_key(4), 200).unwrap();
    note.signatures.push(second);
    assert!(trust(&note).is_witnessed());
    assert_eq!(witnesses_of(&note, &policy.witness_keys()).unwrap()[1].at_s, 200);
    // The same keys without a quorum: never witnessed.
    let none = Policy::parse(&text.replace("quorum X", "quorum none")).unwrap();
    assert!(!none.judge(note.to_string().as_bytes()).unwrap().2.is_witnessed());
    // A cosignature of another checkpoint is a forgery here.
    let mut forged = checkpoint(4).0;
    forged.signatures.push(cosign(&note.text, &witness_key(2), 100).unwrap());
    assert!(policy.judge(forged.to_string().as_bytes()).is_err());
    for (wrong, why) in [
        ("quorum X\n", "not defined"),
        ("witness A x\nquorum none\n", "verifier key"),
        ("", "no quorum"),
        ("quorum none\nquorum none\n", "second quorum"),
        ("group X any\nquorum X\n", "between one and all"),
    ] {
        let error = Policy::parse(wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let twice = text.replace("quorum X", "group Y any A\nquorum X");
    assert!(Policy::parse(&twice).unwrap_err().to_string().contains("member already"));
}

#[test]
fn a_proof_file_survives_and_proves_only_its_leaf() {
    let (note, head) = checkpoint(11);
    let tree = SmallTree::of(leaves(11).iter().map(|leaf| leaf_hash(leaf)));
    let proof = TlogProof {
        extra: Some(b"what else".to_vec()),
        index: 6,
        path: tree.prove(6).unwrap(),
        checkpoint: note,
    };
    let text = proof.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra "));
    let read = TlogProof::parse(&text).unwrap();
    assert_eq!(read, proof);
    assert_eq!(read.verify(b"leaf 6").unwrap().head(), head);
    assert!(read.verify(b"leaf 7").is_err());
    for cut in 0..text.len() {
        let part = text.get(..cut).unwrap_or("");
        assert!(TlogProof::parse(part).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_witness_cosigns_only_what_extends_what_it_saw() {
    let (log, witness) = (log_key(), witness_key(2));
    let keys = [log.verifier()];
    let tree = SmallTree::of(leaves(20).iter().map(|leaf| leaf_hash(leaf)));
    let ask = |old: u64, new: u64| {
        let request = AddCheckpoint {
            old_size: old,
            proof: tree.prove_consistency(old, new).unwrap(),
            checkpoint: checkpoint(new as usize).0,
        };
        AddCheckpoint::parse(request.to_text().as_bytes()).unwrap()
    };
    let head = |size| Head { size, root: tree.root_at(size) };
    let answer = |request: &AddCheckpoint, last| judge(request, &keys, last, &witness, 77);
    let Answer::Cosigned { head: kept, body } = answer(&ask(0, 5), None) else { panic!() };
    assert_eq!(kept, head(5));
    let mut note = checkpoint(5).0;
    note.signatures.push(regie_record::log::note::SignatureLine::parse(body.trim_end()).unwrap());
    assert_eq!(witnesses_of(&note, &[witness.verifier()]).unwrap()[0].at_s, 77);
    assert_eq!(answer(&ask(5, 20), Some(head(5))).status(), 200);
    assert_eq!(answer(&ask(5, 5), Some(head(5))).status(), 200, "again, with a later time");
    assert_eq!(answer(&ask(0, 20), Some(head(5))), Answer::Conflict(5));
    assert_eq!(answer(&ask(5, 20), Some(head(7))), Answer::Conflict(7));
    let forked = Head { size: 5, root: leaf_hash(b"fork") };
    assert_eq!(answer(&ask(5, 20), Some(forked)), Answer::Unprocessable);
    assert_eq!(answer(&ask(5, 5), Some(forked)), Answer::Conflict(5));
    assert_eq!(judge(&ask(5, 20), &[], Some(head(5)), &witness, 77), Answer::UnknownLog);
    let other = Signatory::new("record.example/log", TYPE_ED25519, &seed(9)).unwrap().verifier();
    assert_eq!(judge(&ask(5, 20), &[other], Some(head(5)), &witness, 77), Answer::Forbidden);
    let mut backwards = ask(5, 5);
    backwards.old_size = 6;
    assert_eq!(answer(&backwards, Some(head(6))).status(), 400);
    assert!(AddCheckpoint::parse(b"old 05\n\nx\n").is_err());
}

#[test]
fn a_promise_is_signed_by_the_log_alone() {
    use regie_model::{AdId, UtcMs};
    use regie_record::{
        commit::Sha256Hash,
        log::promise::{MERGE_WITHIN_MS, Promise, open, sign},
    };
    let promise = Promise {
        origin: "record.example/log".into(),
        entry: AdId(12),
        content: Sha256Hash::of(b"x"),
        at: UtcMs(5),
        merge_within_ms: MERGE_WITHIN_MS,
    };
    let signed = sign(&promise, &log_key()).unwrap();
    let keys = [log_key().verifier()];
    open(&signed, &keys).unwrap();
    let mut changed = signed.clone();
    changed.promise.entry = AdId(13);
    assert_eq!(open(&changed, &keys), Err(NoteError::Forged("record.example/log".into())));
    let stranger = Signatory::new("record.example/log", TYPE_ED25519, &seed(9)).unwrap();
    assert!(open(&signed, &[stranger.verifier()]).is_err());
    assert_eq!(open(&signed, &[]), Err(NoteError::Unsigned));
    let elsewhere = Signatory::new("other.example", TYPE_ED25519, &seed(1)).unwrap();
    assert!(sign(&promise, &elsewhere).is_err());
}
