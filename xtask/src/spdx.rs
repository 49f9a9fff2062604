//! SPDX licence expressions: `MIT OR (Apache-2.0 AND Unicode-3.0)`, and the older `MIT/Apache-2.0`.
//!
//! An expression is accepted when a choice of its alternatives has only accepted licences. A
//! licence `WITH` an exception is looked up under both words together. Refuses to guess: what it
//! cannot read is an error.

/// Whether `accepted` licences satisfy the expression.
///
/// # Errors
/// If it is not an expression.
pub fn satisfied(expression: &str, accepted: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0, accepted };
    let answer = parser.any()?;
    if parser.at == words.len() { Ok(answer) } else { Err(format!("cannot read \"{expression}\"")) }
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    accepted: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|w| w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.take("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let answer = self.any()?;
            return if self.take(")") { Ok(answer) } else { Err("a bracket is not closed".into()) };
        }
        let Some(name) = self.words.get(self.at).filter(|w| !["(", ")", "OR", "AND", "WITH"].contains(w))
        else {
            return Err("a licence name is missing".into());
        };
        self.at += 1;
        if !self.take("WITH") {
            return Ok((self.accepted)(name));
        }
        let Some(exception) = self.words.get(self.at) else { return Err("nothing after WITH".into()) };
        self.at += 1;
        Ok((self.accepted)(&format!("{name} WITH {exception}")))
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    fn check(expression: &str, expected: Option<bool>) {
        let accepted = |name: &str| ["MIT", "Apache-2.0", "Unicode-3.0"].contains(&name);
        assert_eq!(satisfied(expression, &accepted).ok(), expected, "{expression}");
    }

    #[test]
    fn expressions_are_read_as_the_specification_says() {
        check("MIT", Some(true));
        check("GPL-3.0-only", Some(false));
        check("GPL-3.0-only OR MIT", Some(true));
        check("GPL-3.0-only AND MIT", Some(false));
        check("MIT/Apache-2.0", Some(true));
        check("(MIT OR Apache-2.0) AND Unicode-3.0", Some(true));
        check("(MIT OR Apache-2.0) AND GPL-2.0", Some(false));
        check("MIT OR GPL-2.0 AND GPL-3.0", Some(true));
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0", Some(false));
        check("Apache-2.0 WITH LLVM-exception OR MIT", Some(true));
        for broken in ["", "(MIT", "MIT)", "MIT OR", "MIT MIT", "WITH", "MIT WITH"] {
            check(broken, None);
        }
    }
}
