//! Arithmetic expressions: a recursive descent over bytes, bounded in depth, with the place of a mistake in its message.

use std::f64::consts;

/// Parentheses, signs and powers within each other; deeper ones are refused rather than overflowing the stack.
const MAX_DEPTH: usize = 100;

/// The value of `text`, or what is wrong with it and where.
pub(crate) fn evaluate(text: &str) -> Result<f64, String> {
    let mut reader = Reader { text: text.as_bytes(), at: 0, depth: 0 };
    let value = reader.sum()?;
    match reader.peek() {
        None => Ok(value),
        Some(other) => Err(reader.wrong(&format!("unexpected `{}`", char::from(other)))),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            match self.peek() {
                Some(b'+') => value += self.skip_to_product()?,
                Some(b'-') => value -= self.skip_to_product()?,
                _ => return Ok(value),
            }
        }
    }

    fn skip_to_product(&mut self) -> Result<f64, String> {
        self.at += 1;
        self.product()
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        while let Some(operator @ (b'*' | b'/' | b'%')) = self.peek() {
            self.at += 1;
            let right = self.signed()?;
            match operator {
                b'*' => value *= right,
                _ if right == 0.0 => return Err(self.wrong("division by zero")),
                b'/' => value /= right,
                _ => value %= right,
            }
        }
        Ok(value)
    }

    /// A sign binds less than a power: `-2^2` is -4.
    fn signed(&mut self) -> Result<f64, String> {
        match self.peek() {
            Some(b'-') => self.nested(|reader| Ok(-reader.signed()?)),
            Some(b'+') => self.nested(Self::signed),
            _ => self.power(),
        }
    }

    fn power(&mut self) -> Result<f64, String> {
        let base = self.atom()?;
        if self.peek() == Some(b'^') { Ok(base.powf(self.nested(Self::signed)?)) } else { Ok(base) }
    }

    fn atom(&mut self) -> Result<f64, String> {
        match self.peek() {
            Some(b'(') => {
                let value = self.nested(Self::sum)?;
                self.expect(b')')?;
                Ok(value)
            }
            Some(b'0'..=b'9' | b'.') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.name(),
            Some(other) => Err(self.wrong(&format!("unexpected `{}`", char::from(other)))),
            None => Err(self.wrong("the expression ends too early")),
        }
    }

    fn number(&mut self) -> Result<f64, String> {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            let exponent_sign =
                matches!(byte, b'+' | b'-') && matches!(self.text.get(self.at - 1), Some(b'e' | b'E'));
            if !(byte.is_ascii_digit()
                || matches!(byte, b'.' | b'e' | b'E')
                || (exponent_sign && self.at > start))
            {
                break;
            }
            self.at += 1;
        }
        let number = String::from_utf8_lossy(&self.text[start..self.at]);
        number.parse().map_err(|_| self.wrong(&format!("`{number}` is not a number")))
    }

    fn name(&mut self) -> Result<f64, String> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_alphanumeric) {
            self.at += 1;
        }
        let name = String::from_utf8_lossy(&self.text[start..self.at]).to_ascii_lowercase();
        match name.as_str() {
            "pi" => return Ok(consts::PI),
            "e" => return Ok(consts::E),
            _ => {}
        }
        let function: fn(f64) -> f64 = match name.as_str() {
            "sqrt" => f64::sqrt,
            "abs" => f64::abs,
            "ln" => f64::ln,
            "log" => f64::log10,
            "exp" => f64::exp,
            "sin" => f64::sin,
            "cos" => f64::cos,
            "tan" => f64::tan,
            "round" => f64::round,
            "floor" => f64::floor,
            "ceil" => f64::ceil,
            _ => return Err(self.wrong(&format!("`{name}` is not known"))),
        };
        if self.peek() != Some(b'(') {
            return Err(self.wrong(&format!("`{name}` needs parentheses")));
        }
        let argument = self.nested(Self::sum)?;
        self.expect(b')')?;
        Ok(function(argument))
    }

    /// Skips one byte and reads what follows it, one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<f64, String>) -> Result<f64, String> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("the expression is nested too deep"));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.wrong(&format!("`{}` is missing", char::from(byte))))
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at character {}", self.at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn operators_bind_as_in_school() {
        assert_eq!(evaluate("2 + 3 * 4"), Ok(14.0));
        assert_eq!(evaluate("2 * (3 + sqrt(16))"), Ok(14.0));
        assert_eq!(evaluate("-2^2"), Ok(-4.0));
        assert_eq!(evaluate("2^3^2"), Ok(512.0));
        assert_eq!(evaluate("2^-1"), Ok(0.5));
        assert_eq!(evaluate("1.5e-3 * 2"), Ok(0.003));
        assert_eq!(evaluate("7 % 4 - 1"), Ok(2.0));
    }

    #[test]
    fn mistakes_say_where() {
        assert_eq!(evaluate("1 / 0"), Err("division by zero at character 6".to_owned()));
        assert_eq!(evaluate("1 +"), Err("the expression ends too early at character 4".to_owned()));
        assert_eq!(evaluate("(1"), Err("`)` is missing at character 3".to_owned()));
        assert!(evaluate("1 2").is_err());
        assert!(evaluate("1.2.3").is_err());
        assert!(evaluate("cube(3)").is_err());
        assert!(evaluate("é").is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(evaluate(&"(".repeat(100_000)).is_err());
        assert!(evaluate(&"-".repeat(100_000)).is_err());
        assert!(evaluate(&"2^".repeat(100_000)).is_err());
    }
}
