//! Parameters of a statement.

use super::Value;

/// Values for a statement's parameters, in order: a tuple, an array, or a `Vec`; `()` for none.
pub trait Parameters {
    /// Returns the values.
    fn into_values(self) -> Vec<Value>;
}

impl Parameters for () {
    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

impl Parameters for Vec<Value> {
    fn into_values(self) -> Vec<Value> {
        self
    }
}

impl<T: Into<Value>, const N: usize> Parameters for [T; N] {
    fn into_values(self) -> Vec<Value> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)*) => {$(
        impl<$($name: Into<Value>),+> Parameters for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_values(self) -> Vec<Value> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

#[cfg(test)]
mod tests {
    use super::{Parameters, Value};

    #[test]
    fn tuples_and_arrays_keep_their_order() {
        let of_tuple = (1, "two", 3.0, true, None::<i64>, vec![6_u8]).into_values();
        let expected = [
            Value::Integer(1),
            Value::Text("two".into()),
            Value::Real(3.0),
            Value::Boolean(true),
            Value::Null,
            Value::Blob(vec![6]),
        ];
        assert_eq!(format!("{of_tuple:?}"), format!("{expected:?}"));
        assert_eq!(
            format!("{:?}", [1_i64, 2].into_values()),
            "[Value::Integer(1), Value::Integer(2)]"
        );
        assert!(().into_values().is_empty());
    }
}
