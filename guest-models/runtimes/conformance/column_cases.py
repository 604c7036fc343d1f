"""Pipelines of scikit-learn for frames, words and texts, and those that must be refused."""

import numpy as np
import pandas as pd
from sklearn import (
    compose,
    decomposition,
    ensemble,
    feature_extraction,
    impute,
    linear_model,
    multioutput,
    naive_bayes,
    preprocessing,
    svm,
    tree,
)
from sklearn.pipeline import make_pipeline

import data_sets
from case import case

SCALER = preprocessing.StandardScaler
FOREST = {"n_estimators": 20, "max_depth": 6, "random_state": 0}


NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
WORDS = ["island", "sex"]


def columns(numbers, words):
    """Numbers and words of the penguins, each by its own steps."""
    return compose.ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)])


def one_hot():
    """One-hot of words; unseen ones are zeros."""
    return preprocessing.OneHotEncoder(handle_unknown="ignore")


def filled(strategy="mean"):
    """Missing numbers filled, then scaled."""
    return make_pipeline(impute.SimpleImputer(strategy=strategy), SCALER())


def clean_penguins():
    """The penguins, with a word for a missing one."""
    rows, species = data_sets.penguins()
    rows = rows.copy()
    rows["sex"] = rows["sex"].fillna("unknown")
    return rows, species


@case("columns-logistic-regression")
def _():
    rows, species = clean_penguins()
    model = make_pipeline(columns(filled(), one_hot()), linear_model.LogisticRegression())
    return model.fit(rows, species), rows


@case("columns-forest")
def _():
    rows, species = clean_penguins()
    model = make_pipeline(
        columns(filled("median"), one_hot()), ensemble.RandomForestClassifier(**FOREST)
    )
    return model.fit(rows, species), rows


@case("columns-ordinal")
def _():
    rows, species = clean_penguins()
    ordinal = preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        columns(filled("most_frequent"), ordinal), tree.DecisionTreeClassifier(random_state=0)
    )
    return model.fit(rows, species), rows


@case("columns-renamed")
def _():
    rows, species = clean_penguins()
    rows = rows.rename(columns={"bill_length_mm": "größe (m²)", "sex": "x.y z"})
    numbers = ["größe (m²)", *NUMBERS[1:]]
    transformer = compose.ColumnTransformer(
        [("numbers", filled(), numbers), ("words", one_hot(), ["island", "x.y z"])]
    )
    model = make_pipeline(transformer, linear_model.LogisticRegression())
    return model.fit(rows, species), rows


@case("columns-cars")
def _():
    rows, miles = data_sets.cars()
    numbers = [name for name in rows.columns if name != "Origin"]
    transformer = compose.ColumnTransformer(
        [("numbers", filled(), numbers), ("words", one_hot(), ["Origin"])]
    )
    return make_pipeline(transformer, linear_model.Ridge()).fit(rows, miles), rows


@case("columns-cars-boosting")
def _():
    rows, miles = data_sets.cars()
    numbers = [name for name in rows.columns if name != "Origin"]
    transformer = compose.ColumnTransformer(
        [("numbers", impute.SimpleImputer(strategy="median"), numbers),
         ("words", one_hot(), ["Origin"])]
    )  # fmt: skip
    boosting = ensemble.GradientBoostingRegressor(n_estimators=30, random_state=0)
    return make_pipeline(transformer, boosting).fit(rows, miles), rows


@case("one-hot-whole-numbers")
def _():
    rows, miles = data_sets.cars()
    rows = rows[["Cylinders", "Weight_in_lbs"]]
    transformer = compose.ColumnTransformer(
        [("cylinders", one_hot(), ["Cylinders"]), ("weight", SCALER(), ["Weight_in_lbs"])]
    )
    return make_pipeline(transformer, linear_model.Ridge()).fit(rows, miles), rows


def words_imputed(**options):
    """The penguins, with missing words filled by the pipeline itself."""
    rows, species = data_sets.penguins()
    words = make_pipeline(impute.SimpleImputer(**options), one_hot())
    model = make_pipeline(columns(filled("median"), words), linear_model.LogisticRegression())
    return model.fit(rows, species), rows


@case("words-imputed")
def _():
    return words_imputed(strategy="most_frequent")


@case("words-imputed-constant")
def _():
    return words_imputed(strategy="constant", fill_value="missing")


@case("whole-numbers-with-missing")
def _():
    rows, miles = data_sets.cars()
    rows = rows[["Cylinders", "Weight_in_lbs"]].astype({"Cylinders": "Int64"})
    rows.loc[::7, "Cylinders"] = pd.NA
    model = make_pipeline(impute.SimpleImputer(), SCALER(), linear_model.Ridge())
    return model.fit(rows, miles), rows


@case("imputed-constant")
def _():
    rows, species = data_sets.penguin_sizes()
    model = make_pipeline(
        impute.SimpleImputer(strategy="constant", fill_value=-1.0),
        ensemble.ExtraTreesClassifier(**FOREST),
    )
    return model.fit(rows, species), rows


@case("nearest-imputed", refused="ONNX Runtime does not answer rows")
def _():
    rows, species = data_sets.penguin_sizes()
    model = make_pipeline(impute.KNNImputer(n_neighbors=3), SCALER(), svm.SVC())
    return model.fit(rows, species), rows


@case("weather-frame")
def _():
    rows, kind = data_sets.weather()
    model = make_pipeline(
        preprocessing.QuantileTransformer(n_quantiles=50, random_state=0),
        linear_model.LogisticRegression(),
    )
    return model.fit(rows, kind), rows


@case("labels-far-apart")
def _():
    rows, species = data_sets.iris()
    labels = np.array([-7, 12, 1 << 40])[species]
    return ensemble.RandomForestClassifier(**FOREST).fit(rows, labels), rows


@case("labels-words")
def _():
    rows, species = data_sets.iris()
    labels = np.array(["ja", "nein", "vielleicht ☂"], dtype=object)[species]
    return svm.SVC(gamma="auto").fit(rows, labels), rows


@case("several-labels")
def _():
    rows, species = data_sets.iris()
    labels = np.column_stack([species, species == 1])
    model = multioutput.MultiOutputClassifier(linear_model.LogisticRegression(max_iter=1000))
    return model.fit(rows, labels), rows


# === Text ===


@case("tfidf-logistic-regression")
def _():
    names, origin = data_sets.car_names()
    vectorizer = feature_extraction.text.TfidfVectorizer()
    model = make_pipeline(vectorizer, linear_model.LogisticRegression())
    return model.fit(names, origin), names


@case("counts-bayes")
def _():
    names, origin = data_sets.car_names()
    vectorizer = feature_extraction.text.CountVectorizer(ngram_range=(1, 2), min_df=2)
    return make_pipeline(vectorizer, naive_bayes.MultinomialNB()).fit(names, origin), names


@case("tfidf-svd")
def _():
    names, origin = data_sets.car_names()
    vectorizer = feature_extraction.text.TfidfVectorizer(norm="l1", smooth_idf=False)
    model = make_pipeline(
        vectorizer,
        decomposition.TruncatedSVD(5, random_state=0),
        tree.DecisionTreeClassifier(max_depth=4, random_state=0),
    )
    return model.fit(names, origin), names


@case("tfidf-sublinear", refused="for the row")
def _():
    names, origin = data_sets.car_names()
    doubled = [f"{name} {name.split()[0]}" for name in names]
    vectorizer = feature_extraction.text.TfidfVectorizer(sublinear_tf=True)
    model = make_pipeline(vectorizer, linear_model.LogisticRegression())
    return model.fit(doubled, origin), doubled


@case("characters", refused="for the row '   '")
def _():
    names, origin = data_sets.car_names()
    vectorizer = feature_extraction.text.CountVectorizer(analyzer="char")
    return make_pipeline(vectorizer, naive_bayes.MultinomialNB()).fit(names, origin), names


@case("hashed-words", refused="skl2onnx does not convert")
def _():
    names, origin = data_sets.car_names()
    vectorizer = feature_extraction.text.HashingVectorizer(n_features=64)
    model = make_pipeline(vectorizer, linear_model.LogisticRegression())
    return model.fit(names, origin), names


# === Converters that change the answers ===


@case("forest-with-missing-values", refused="for the row")
def _():
    rows, species = data_sets.penguin_sizes()
    rows = rows.copy()
    rows[::5, 0] = np.nan
    return ensemble.RandomForestClassifier(**FOREST).fit(rows, species), rows


@case("normalizer-max", refused="for the row")
def _():
    rows, target = data_sets.diabetes()
    model = make_pipeline(preprocessing.Normalizer("max"), linear_model.Ridge())
    return model.fit(rows, target), rows
