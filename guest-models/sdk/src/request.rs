//! Reading a request.

use crate::error::listed;
use crate::{Error, OrError, ParameterValue, Request, Tensor};

impl Request {
    /// Returns an input by name.
    ///
    /// # Errors
    /// Rejected if there is none; the text lists the existing ones.
    pub fn input(&self, name: &str) -> Result<&Tensor, Error> {
        self.find_input(name).or_rejected(format_args!(
            "the request has no input {name:?}; it has {}",
            self.input_names()
        ))
    }

    /// Returns an input by name, if the request has it: for optional inputs.
    pub fn find_input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Returns the value of a parameter, if the request has it.
    pub fn parameter(&self, name: &str) -> Option<&ParameterValue> {
        let parameter = self.parameters.iter().find(|parameter| parameter.name == name);
        parameter.map(|parameter| &parameter.value)
    }

    /// Returns true if the caller wants this output. A model may compute it in any case: the host
    /// drops outputs that were not requested.
    pub fn wants(&self, output: &str) -> bool {
        self.outputs.is_empty() || self.outputs.iter().any(|name| name == output)
    }

    fn input_names(&self) -> String {
        listed(self.inputs.iter().map(|input| input.name.as_str()))
    }
}

// === impl ParameterValue ===

impl ParameterValue {
    /// Returns the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            ParameterValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the boolean, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            ParameterValue::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// Returns the integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            ParameterValue::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// Returns the number, if it is one; integers are converted.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            ParameterValue::Number(number) => Some(*number),
            ParameterValue::Integer(integer) => Some(*integer as f64),
            _ => None,
        }
    }
}

impl From<bool> for ParameterValue {
    fn from(boolean: bool) -> Self {
        ParameterValue::Boolean(boolean)
    }
}

impl From<i64> for ParameterValue {
    fn from(integer: i64) -> Self {
        ParameterValue::Integer(integer)
    }
}

impl From<f64> for ParameterValue {
    fn from(number: f64) -> Self {
        ParameterValue::Number(number)
    }
}

impl From<&str> for ParameterValue {
    fn from(text: &str) -> Self {
        ParameterValue::Text(text.to_owned())
    }
}

impl From<String> for ParameterValue {
    fn from(text: String) -> Self {
        ParameterValue::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Parameter, Request, Tensor};

    fn request() -> Request {
        let parameters = vec![Parameter { name: "top".into(), value: 3.into() }];
        let inputs = vec![Tensor::new("a", [1], [1_u8]), Tensor::new("b", [1], [2_u8])];
        Request { id: String::new(), parameters, inputs, outputs: vec!["y".into()] }
    }

    #[test]
    fn a_missing_input_lists_the_existing_ones() {
        let error = request().input("x").err();
        let text = r#"the request has no input "x"; it has "a", "b""#;
        assert!(matches!(error, Some(Error::Rejected(said)) if said == text));
        assert!(request().input("b").is_ok());
    }

    #[test]
    fn parameters_are_found_by_name_and_read_by_type() {
        let request = request();
        assert_eq!(request.parameter("top").and_then(|value| value.as_number()), Some(3.0));
        assert_eq!(request.parameter("top").and_then(|value| value.as_text()), None);
        assert!(request.parameter("bottom").is_none());
    }

    #[test]
    fn outputs_are_wanted_by_name_or_default() {
        let mut request = request();
        assert!(request.wants("y") && !request.wants("z"));
        request.outputs.clear();
        assert!(request.wants("z"));
    }
}
