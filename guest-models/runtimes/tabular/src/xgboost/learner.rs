//! The learner: everything of a file that answers depend on.

use wardian_sdk::{Error, OrError};

use super::base_score;
use super::booster::{Booster, Context};
use super::document::{Fields, Object, Value, shown};
use super::objective::Objective;
use super::version::Version;

/// A model of XGBoost.
pub(super) struct Learner {
    /// The library that saved it.
    pub(super) version: Version,
    /// The names of the columns; empty if the file has none.
    pub(super) names: Vec<String>,
    /// The number of columns.
    pub(super) features: usize,
    /// The number of outputs.
    pub(super) outputs: usize,
    /// The objective.
    pub(super) objective: Objective,
    /// The booster.
    pub(super) booster: Booster,
}

/// The parameters of the objectives. They matter to training only: the number of classes, of
/// quantiles and of expectiles is that of the outputs.
const OBJECTIVE_PARAMETERS: [&str; 12] = [
    "aft_loss_param",
    "expectile_loss_param",
    "lambda_rank_param",
    "lambdarank_param",
    "poisson_regression_param",
    "pseudo_huber_param",
    "quantile_loss_param",
    "reg_loss_param",
    "softmax_multiclass_param",
    "ti+",
    "tj-",
    "tweedie_regression_param",
];

impl Learner {
    /// Reads a file of so many bytes.
    ///
    /// # Errors
    /// Failed if it is not valid, or not known whole.
    pub(super) fn read(file: Object, file_size: usize) -> Result<Self, Error> {
        refuse_others(&file)?;
        let mut file = Fields::new("the file", file);
        let version = version(file.find("version"))?;
        let mut learner = file.fields("learner")?;
        file.finish()?;

        let names = learner.texts("feature_names")?;
        let mut objective = learner.fields("objective")?;
        let objective_name = objective.text("name")?;
        let objective_found = Objective::find(&objective_name, version)?;
        objective.ignore(&OBJECTIVE_PARAMETERS);
        objective.finish()?;

        let attributes = attributes(learner.find("attributes"))?;
        let sizes = learner.fields("learner_model_param")?;
        let context = context(sizes, (version, objective_found), &attributes, file_size)?;
        let booster = Booster::read(learner.fields("gradient_booster")?, &context)?;
        learner.ignore(&["feature_types"]);
        learner.finish()?;

        let Context { features, outputs, objective, .. } = context;
        if !names.is_empty() && names.len() != features {
            let text = format!("there are {} feature_names for {features} columns", names.len());
            return Err(Error::failed(text));
        }
        let mut distinct: Vec<_> = names.iter().collect();
        distinct.sort_unstable();
        if let Some(pair) = distinct.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = shown(pair[0]);
            return Err(Error::failed(format_args!("two columns are called {name}")));
        }
        Ok(Self { version, names, features, outputs, objective, booster })
    }
}

/// Refuses other files of the library by the call that saves the right one.
fn refuse_others(file: &Object) -> Result<(), Error> {
    let what = if file.contains("Model") || file.contains("Config") {
        "the state of a Booster in memory, of a pickle"
    } else if file.contains("nodeid") || file.contains("leaf") {
        "a dump of a tree, for people to read"
    } else {
        return Ok(());
    };
    Err(Error::failed(format_args!(
        "this is {what}; save the model with model.save_model(\"model.json\")"
    )))
}

fn version(value: Option<Value>) -> Result<Version, Error> {
    let Some(value) = value else { return Ok(Version::default()) };
    let numbers = value.into_integers();
    let version = numbers.and_then(|numbers| Version::from_numbers(&numbers));
    version.or_failed("the field \"version\" is not three whole numbers")
}

fn attributes(value: Option<Value>) -> Result<Object, Error> {
    let object = value.map_or_else(|| Some(Object::default()), Value::into_object);
    object.or_failed("the field \"attributes\" is not an object")
}

fn context(
    mut sizes: Fields,
    (version, objective): (Version, Objective),
    attributes: &Object,
    file_size: usize,
) -> Result<Context, Error> {
    let features = sizes.count("num_feature", 0)? as usize;
    let classes = sizes.count("num_class", 0)? as usize;
    let targets = sizes.count("num_target", 1)? as usize;
    // Files before 2.0 do not have it, and their library did not estimate.
    let is_estimated = sizes.count("boost_from_average", 0)? != 0;
    let base_score = sizes.text("base_score")?;
    sizes.finish()?;

    if features == 0 {
        return Err(Error::failed("num_feature is 0: the model has no columns"));
    }
    let outputs = classes.max(targets).max(1);
    // Every output has a tree, a weight or a number of its own somewhere.
    if outputs > file_size || (classes > 1 && targets > 1) {
        return Err(Error::failed(format_args!(
            "num_class {classes} and num_target {targets} are not those of a model of this size"
        )));
    }
    let attribute = |name: &str| attributes.get(name).cloned().and_then(Value::into_text);
    Ok(Context {
        features,
        outputs,
        file_size,
        version,
        is_estimator: attributes.contains("scikit_learn"),
        best_iteration: attribute("best_iteration"),
        objective,
        scores: base_score::read(&base_score, outputs)?,
        is_estimated,
    })
}
