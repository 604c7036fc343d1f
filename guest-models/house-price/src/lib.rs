//! Sale prices of houses, by gradient-boosted regression trees. The trees are part of the
//! component.

pub mod trees;

use trees::Trees;
use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor};

/// A JSON array, by which clients may name the columns instead of ordering them.
const FEATURE_NAMES: &str = r#"["lotsize", "bedrooms", "bathrms", "stories", "driveway", "recroom", "fullbase", "gashw", "airco", "garagepl", "prefarea"]"#;

struct HousePrice {
    trees: Trees,
}

impl Model for HousePrice {
    fn load() -> Result<Self, Error> {
        let trees = Trees::parse(include_str!("../trees.txt")).or_failed("trees.txt")?;
        Ok(Self { trees })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("Sale prices of houses in Windsor, Canada, in 1987, in Canadian dollars")
            .input::<f64>("features", [-1, self.trees.features() as i64])
            .output::<f64>("price", [-1, 1])
            .max_batch_size(1024)
            .property("feature_names", FEATURE_NAMES)
            .property("framework", "scikit-learn 1.9.1 GradientBoostingRegressor")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let features = request.input("features")?.view::<f64>()?.to_vec();
        // The library in which it was trained refuses these too.
        if !features.iter().all(|value| (*value as f32).is_finite()) {
            return Err(Error::rejected("every feature must be a finite number"));
        }
        let rows = features.chunks_exact(self.trees.features());
        let shape = [rows.len(), 1];
        Ok(Response::new().output(Tensor::new(
            "price",
            shape,
            rows.map(|row| self.trees.predict(row)),
        )))
    }
}

wardian_sdk::export!(HousePrice);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<HousePrice>()
    }

    #[test]
    fn non_finite_features_are_rejected() -> Result<(), Error> {
        let inputs = vec![Tensor::new("features", [1, 11], [f64::NAN; 11])];
        let request = Request { id: String::new(), parameters: vec![], inputs, outputs: vec![] };
        let answer = HousePrice::load()?.infer(request);
        assert!(matches!(answer, Err(Error::Rejected(_))));
        Ok(())
    }
}
