//! Against a log and a witness that we did not write: the Python packages `aics-tlog` and `aics-witness`.
//!
//! `interop/vectors.json` was made by `interop/make_vectors.py`. The live part runs where Python has the packages, and says so
//! where not.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod log_world;

use base64::{Engine, engine::general_purpose::STANDARD};
use regie_record::log::{
    Checkpoint, Hash, Note, Signatory, VerifierKey,
    hash::leaf_hash,
    note::{TYPE_COSIGNATURE, TYPE_ED25519},
    tree::{Head, SmallTree, verify_consistency, verify_inclusion},
    witness::{AddCheckpoint, Answer, judge},
};
use serde_json::Value;
use std::process::Command;

fn vectors() -> Value {
    serde_json::from_str(include_str!("interop/vectors.json")).unwrap()
}
fn hash(value: &Value) -> Hash {
    Hash::from_base64(value.as_str().unwrap()).unwrap()
}
fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(hash).collect()
}
fn tree(size: u64) -> SmallTree {
    SmallTree::of((0..size).map(|i| leaf_hash(format!("leaf {i}").as_bytes())))
}

#[test]
fn trees_proofs_notes_and_keys_are_the_same_byte_for_byte() {
    let vectors = vectors();
    let origin = vectors["origin"].as_str().unwrap();
    let log = Signatory::new(origin, TYPE_ED25519, &[1; 32]).unwrap();
    assert_eq!(log.verifier().to_string(), vectors["log_vkey"].as_str().unwrap());
    let mut count = 0;
    for (size, root) in vectors["roots"].as_object().unwrap() {
        let head = Head { size: size.parse().unwrap(), root: tree(size.parse().unwrap()).root() };
        assert_eq!(head.root, hash(root), "{size} leaves");
        let note = vectors["notes"][size].as_str().unwrap();
        assert_eq!(Checkpoint::new(origin, head).sign(&[&log]).unwrap().to_string(), note);
        assert_eq!(Checkpoint::open(note.as_bytes(), &[log.verifier()]).unwrap().0.head(), head);
        count += 1;
    }
    assert_eq!(count, 9);
    let whole = tree(600);
    for (index, path) in vectors["inclusion"].as_object().unwrap() {
        let index: u64 = index.parse().unwrap();
        assert_eq!(whole.prove(index).unwrap(), hashes(path));
        let leaf = leaf_hash(format!("leaf {index}").as_bytes());
        verify_inclusion(leaf, index, 600, &hashes(path), whole.root()).unwrap();
    }
    for row in vectors["consistency"].as_array().unwrap() {
        let (old, new) = (row[0].as_u64().unwrap(), row[1].as_u64().unwrap());
        assert_eq!(whole.prove_consistency(old, new).unwrap(), hashes(&row[2]), "{old} to {new}");
        let head = |size| Head { size, root: whole.root_at(size) };
        verify_consistency(head(old), head(new), &hashes(&row[2])).unwrap();
    }
}

/// The same requests, the same answers: status and bytes.
#[test]
fn our_witness_answers_as_theirs_does() {
    let vectors = vectors();
    let witness_key = VerifierKey::parse(vectors["witness_vkey"].as_str().unwrap()).unwrap();
    let witness = Signatory::new(witness_key.name(), TYPE_COSIGNATURE, &[2; 32]).unwrap();
    assert_eq!(witness.verifier(), witness_key);
    let log = VerifierKey::parse(vectors["log_vkey"].as_str().unwrap()).unwrap();
    let mut last = None;
    let mut statuses = Vec::new();
    for row in vectors["answers"].as_array().unwrap() {
        let text = row["request"].as_str().unwrap();
        let request = AddCheckpoint::parse(text.as_bytes()).unwrap();
        assert_eq!(request.to_text(), text);
        let keys = std::slice::from_ref(&log);
        let answer = judge(&request, keys, last, &witness, vectors["now_s"].as_u64().unwrap());
        assert_eq!(u64::from(answer.status()), row["status"].as_u64().unwrap());
        let theirs = row["answer"].as_str().unwrap();
        statuses.push(answer.status());
        match answer {
            Answer::Cosigned { head, body } => {
                assert_eq!(body, theirs);
                let mut note: Note = request.checkpoint.clone();
                note.signatures =
                    vec![regie_record::log::note::SignatureLine::parse(theirs.trim_end()).unwrap()];
                regie_record::log::cosignature::witnesses_of(&note, std::slice::from_ref(&witness_key))
                    .unwrap();
                last = Some(head);
            }
            Answer::Conflict(size) => assert_eq!(format!("{size}\n"), theirs),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(statuses, [200, 200, 409, 200, 200]);
}

/// Their auditor over our files, where it is installed.
#[test]
fn their_auditor_accepts_our_tiles() {
    let (disk, log) = log_world::a_log(700);
    let dir = std::env::temp_dir().join(format!("log-interop-{}", std::process::id()));
    for (path, bytes) in &disk.lock().unwrap().files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let head = log.head().head;
    let script = format!(
        "import base64, sys\ntry:\n    import aics_tlog as t\nexcept ImportError:\n    sys.exit(42)\n\
         print(t.audit_tiles(t.FileSystemTileReader({:?}), {}, base64.b64decode({:?})))\n\
         try:\n    t.audit_tiles(t.FileSystemTileReader({:?}), {}, bytes(32))\nexcept Exception:\n    sys.exit(0)\nsys.exit(1)\n",
        dir,
        head.size,
        STANDARD.encode(head.root.0),
        dir,
        head.size
    );
    let output = Command::new("python3").args(["-c", &script]).output();
    std::fs::remove_dir_all(&dir).unwrap();
    match output {
        Ok(output) if output.status.code() != Some(42) => {
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
            println!("aics-tlog: {}", String::from_utf8_lossy(&output.stdout).trim());
        }
        _ => println!("SKIP: python3 with aics-tlog is not installed; the vectors were checked"),
    }
}
