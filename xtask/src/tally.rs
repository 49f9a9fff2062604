//! Counting what test programs report: libtest's and node's output, line by line.
//!
//! A test that cannot run here says so with a line that starts with `SKIP `; it then counts as
//! skipped and not as passed, so that a green run never hides what it left out.

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests and checks that passed.
    pub passed: u64,
    /// That failed.
    pub failed: u64,
    /// That could not run here, or were left out.
    pub skipped: u64,
    /// What the skipped ones said.
    pub skips: Vec<String>,
}

impl Tally {
    /// One check.
    pub fn check(passed: bool) -> Tally {
        Tally { passed: u64::from(passed), failed: u64::from(!passed), ..Tally::default() }
    }

    /// One check left out.
    pub fn skip(why: &str) -> Tally {
        Tally { skipped: 1, skips: vec![why.to_owned()], ..Tally::default() }
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.skips.extend(other.skips.iter().cloned());
    }

    /// A program that failed without naming a failed test counts as one.
    pub fn ended(mut self, well: bool) -> Tally {
        if !well && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

/// What part of libtest's output a line is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Names,
    Successes,
    Failures,
}

/// Reads the output of `cargo test -- --show-output`.
pub struct Libtest {
    tally: Tally,
    part: Part,
    /// The passed test being shown has already said `SKIP`.
    counted: bool,
    /// Tests of the program being read that the program counts as passed, but said `SKIP`.
    unrun: u64,
}

impl Libtest {
    /// Nothing read yet.
    pub fn new() -> Libtest {
        Libtest { tally: Tally::default(), part: Part::Names, counted: false, unrun: 0 }
    }

    /// Reads a line; true when it is worth showing (the output of passed tests is not).
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
            self.part = Part::Names;
            return true;
        }
        match line {
            "successes:" => self.part = Part::Successes,
            "failures:" => self.part = Part::Failures,
            _ => {}
        }
        if line.starts_with("---- ") && line.ends_with(" stdout ----") {
            self.counted = false;
        }
        if let Some(why) = line.strip_prefix("SKIP ") {
            self.skip(why);
            return true;
        }
        self.part != Part::Successes
    }

    fn skip(&mut self, why: &str) {
        match self.part {
            Part::Failures => return,
            Part::Successes if self.counted => {}
            Part::Successes => {
                self.counted = true;
                self.unrun += 1;
            }
            Part::Names => self.tally.skipped += 1,
        }
        self.tally.skips.push(why.to_owned());
    }

    /// `ok. 5 passed; 0 failed; 1 ignored; ...`: comes after the output of a program's tests.
    fn result(&mut self, text: &str) {
        let count = |word: &str| {
            let part = text.split("; ").find_map(|part| part.strip_suffix(word));
            part.and_then(|p| p.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let unrun = std::mem::take(&mut self.unrun);
        self.tally.passed += count(" passed").saturating_sub(unrun);
        self.tally.skipped += unrun;
        self.tally.failed += count(" failed");
        let ignored = count(" ignored");
        self.tally.skipped += ignored;
        if ignored > 0 {
            self.tally.skips.push(format!("{ignored} marked #[ignore]"));
        }
    }

    /// The count.
    pub fn finish(self) -> Tally {
        self.tally
    }
}

/// Reads the output of `node --test --test-reporter=tap`.
#[derive(Default)]
pub struct Tap {
    tally: Tally,
    said: u64,
}

impl Tap {
    /// Reads a line.
    pub fn line(&mut self, line: &str) {
        let comment = line.trim_start().strip_prefix("# ").unwrap_or(line);
        if let Some(why) = comment.strip_prefix("SKIP ") {
            self.said += 1;
            self.tally.skips.push(why.to_owned());
        } else if let Some((test, why)) = line.split_once(" # SKIP") {
            let name = test.split_once(" - ").map_or(test, |(_, name)| name);
            self.tally.skips.push(format!("{name}:{why}"));
        }
        let Some((word, number)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) else {
            return;
        };
        let Ok(count) = number.parse::<u64>() else { return };
        match word {
            "pass" => self.tally.passed += count,
            "fail" | "cancelled" => self.tally.failed += count,
            "skipped" | "todo" => self.tally.skipped += count,
            _ => {}
        }
    }

    /// The count.
    pub fn finish(mut self) -> Tally {
        self.tally.passed = self.tally.passed.saturating_sub(self.said);
        self.tally.skipped += self.said;
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::{Libtest, Tally, Tap};

    fn libtest(text: &str) -> (u64, u64, u64) {
        let mut reader = Libtest::new();
        text.lines().for_each(|line| {
            reader.line(line);
        });
        let tally = reader.finish();
        (tally.passed, tally.failed, tally.skipped)
    }

    #[test]
    fn libtest_results_are_summed_and_skips_are_not_passes() {
        let text = "
running 3 tests
test a ... ok
test b ... ok
test c ... FAILED

successes:

---- a stdout ----
SKIP no data folder
SKIP said twice

successes:
    a
    b

failures:

---- c stdout ----
SKIP does not count in a failed test

failures:
    c

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        assert_eq!(libtest(text), (5, 1, 2));
        assert_eq!(libtest("SKIP a program without a harness"), (0, 0, 1));
    }

    #[test]
    fn output_of_passed_tests_is_not_shown() {
        let mut reader = Libtest::new();
        let lines =
            ["running 1 test", "successes:", "---- a stdout ----", "noise", "SKIP why", "failures:", "why"];
        let shown: Vec<_> = lines.into_iter().filter(|line| reader.line(line)).collect();
        assert_eq!(shown, ["running 1 test", "SKIP why", "failures:", "why"]);
    }

    #[test]
    fn tap_is_summed() {
        let text = "TAP version 13\n# SKIP no picture\nok 1 - a\nok 2 - b # SKIP not here\nnot ok 3 - c\n1..3\n\
                    # tests 3\n# suites 0\n# pass 1\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n# duration_ms 5";
        let mut tap = Tap::default();
        text.lines().for_each(|line| tap.line(line));
        let tally = tap.finish();
        assert_eq!((tally.passed, tally.failed, tally.skipped), (0, 1, 2));
        assert_eq!(tally.skips, ["no picture", "b: not here"]);
    }

    #[test]
    fn a_program_that_dies_counts_as_a_failure() {
        assert_eq!(Tally::default().ended(false).failed, 1);
        assert_eq!(Tally::check(false).ended(false).failed, 1);
        assert_eq!(Tally::check(true).ended(true), Tally { passed: 1, ..Tally::default() });
    }
}
