//! Species of iris, by logistic regression. The weights are part of the component.

use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor};

const FEATURES: usize = 4;
/// A JSON array, by which clients may name the columns instead of ordering them.
const FEATURE_NAMES: &str = r#"["sepal length", "sepal width", "petal length", "petal width"]"#;

struct Iris {
    classes: Vec<Class>,
}

struct Class {
    name: String,
    intercept: f64,
    coefficients: Vec<f64>,
}

impl Model for Iris {
    fn load() -> Result<Self, Error> {
        let lines = include_str!("../weights.txt").lines();
        let classes = lines
            .map(|line| Class::parse(line).or_failed(format_args!("cannot read weights {line:?}")));
        Ok(Self { classes: classes.collect::<Result<_, _>>()? })
    }

    fn metadata(&self) -> Metadata {
        let names: Vec<&str> = self.classes.iter().map(|class| class.name.as_str()).collect();
        Metadata::new()
            .description("The species of an iris, from four measurements of its flower")
            .input::<f64>("measurements", [-1, FEATURES as i64])
            .output::<String>("label", [-1])
            .output::<f64>("probabilities", [-1, names.len() as i64])
            .max_batch_size(1024)
            .property("feature_names", FEATURE_NAMES)
            .property("unit", "cm")
            .property("classes", format!("{names:?}"))
            .property("framework", "scikit-learn 1.9.1 LogisticRegression")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let measurements = request.input("measurements")?.view::<f64>()?.to_vec();
        let flowers = measurements.chunks_exact(FEATURES);
        let (count, width) = (flowers.len(), self.classes.len());
        let probabilities: Vec<f64> =
            flowers.flat_map(|flower| self.probabilities(flower)).collect();
        let labels = probabilities.chunks_exact(width).map(|row| self.label(row));
        Ok(Response::new()
            .output(Tensor::from_strings("label", [count], labels))
            .output(Tensor::new("probabilities", [count, width], probabilities.iter().copied())))
    }
}

impl Iris {
    fn probabilities(&self, flower: &[f64]) -> Vec<f64> {
        let scores: Vec<f64> = self.classes.iter().map(|class| class.score(flower)).collect();
        // Subtracts the greatest score, so that no exponential overflows.
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = scores.iter().map(|score| (score - greatest).exp());
        let sum: f64 = weights.clone().sum();
        weights.map(|weight| weight / sum).collect()
    }

    fn label(&self, probabilities: &[f64]) -> &str {
        let classes = self.classes.iter().zip(probabilities);
        let likeliest = classes.max_by(|(_, a), (_, b)| a.total_cmp(b));
        likeliest.map_or("", |(class, _)| &class.name)
    }
}

impl Class {
    fn parse(line: &str) -> Option<Self> {
        let (name, numbers) = line.split_once(' ')?;
        let numbers: Vec<f64> =
            numbers.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let (intercept, coefficients) = numbers.split_first()?;
        let class = Self {
            name: name.to_owned(),
            intercept: *intercept,
            coefficients: coefficients.to_vec(),
        };
        (coefficients.len() == FEATURES).then_some(class)
    }

    fn score(&self, flower: &[f64]) -> f64 {
        let products =
            self.coefficients.iter().zip(flower).map(|(coefficient, value)| coefficient * value);
        self.intercept + products.sum::<f64>()
    }
}

wardian_sdk::export!(Iris);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<Iris>()
    }
}
