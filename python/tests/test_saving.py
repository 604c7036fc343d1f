import json
import warnings

import pytest

from wardian import NotSaved, Tolerance, save
from wardian.exporters.onnx_session import session
from wardian.saving import prepare
from wardian.tensors import Tensor

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def iris():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def golden(folder):
    return json.loads((folder / "golden.json").read_text())


def metadata(folder):
    return json.loads((folder / "metadata.json").read_text())


def outputs(folder):
    response = golden(folder)["cases"][0]["response"]
    return [(output["name"], output["datatype"]) for output in response["outputs"]]


def inputs(folder):
    request = golden(folder)["cases"][0]["request"]
    return [(given["name"], given["datatype"]) for given in request["inputs"]]


class TestScikitLearn:
    sklearn = pytest.importorskip("sklearn")
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")

    def test_linear_models_take_doubles(self, iris, tmp_path):
        from sklearn.linear_model import LogisticRegression

        rows, species = iris
        model = LogisticRegression(max_iter=1000).fit(rows, species)
        folder = save(model, tmp_path / "1", rows, description="Species of irises.")
        assert files(folder) == ["golden.json", "metadata.json", "model.onnx"]
        assert inputs(folder) == [("features", "FP64")]
        assert outputs(folder) == [("label", "INT64"), ("probabilities", "FP64")]
        saved = metadata(folder)
        assert saved["description"] == "Species of irises."
        assert saved["properties"]["classes"] == "[0, 1, 2]"

    def test_trees_take_floats_as_they_do_themselves(self, iris, tmp_path):
        from sklearn.ensemble import RandomForestRegressor

        rows, species = iris
        model = RandomForestRegressor(5, random_state=0).fit(rows, species)
        folder = save(model, tmp_path / "1", rows)
        assert inputs(folder) == [("features", "FP32")]
        assert outputs(folder) == [("prediction", "FP32")]
        assert metadata(folder)["properties"]["missing_values"] == "no"

    def test_columns_of_frames_become_inputs(self, iris, tmp_path):
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        rows, species = iris
        frame = pd.DataFrame(rows[:, :2], columns=["größe (m²)", "width"])
        frame["town"] = np.where(rows[:, 2] > 4, "Ulm", "Rom")
        frame.loc[3, "width"] = np.nan
        steps = ColumnTransformer(
            [
                ("numbers", SimpleImputer(), ["größe (m²)", "width"]),
                ("words", OneHotEncoder(handle_unknown="ignore"), ["town"]),
            ]
        )
        model = make_pipeline(steps, LogisticRegression()).fit(frame, species)
        folder = save(model, tmp_path / "1", frame)
        assert inputs(folder) == [("größe__m²_", "FP64"), ("width", "FP64"), ("town", "BYTES")]
        assert metadata(folder)["columns"] == {"größe (m²)": "größe__m²_"}
        text = (folder / "golden.json").read_text()
        assert '"NaN"' in text and '"wardian unseen"' in text

    def test_texts_are_split_into_words_as_by_scikit_learn(self, tmp_path):
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.pipeline import make_pipeline

        texts = ["ein schöner Tag", "ein übler Tag", "schön!", "übel, übel"] * 3
        labels = ["gut", "schlecht"] * 6
        model = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(texts, labels)
        folder = save(model, tmp_path / "1", texts)
        assert inputs(folder) == [("text", "BYTES")]
        assert outputs(folder) == [("label", "BYTES"), ("probabilities", "FP32")]

    def test_estimators_that_refuse_missing_values_are_served_so(self, iris, tmp_path):
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.naive_bayes import GaussianNB
        from sklearn.pipeline import make_pipeline

        rows, species = iris
        for number, model in enumerate([LogisticRegression(), GaussianNB()]):
            folder = save(model.fit(rows, species), tmp_path / str(number), rows)
            properties = metadata(folder)["properties"]
            assert properties["missing_values"] == properties["infinite_values"] == "no"
            assert '"NaN"' not in (folder / "golden.json").read_text()
        model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, species)
        properties = metadata(save(model, tmp_path / "9", rows))["properties"]
        assert "missing_values" not in properties and properties["infinite_values"] == "no"

    def test_columns_that_must_have_values_are_numbered(self, iris, tmp_path):
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        rows, species = iris
        frame = pd.DataFrame({"town": np.where(species > 0, "Ulm", "Rom"), "a": rows[:, 0]})
        frame["b"] = rows[:, 1]
        steps = ColumnTransformer(
            [
                ("words", OneHotEncoder(), ["town"]),
                ("filled", SimpleImputer(), ["a"]),
                ("rest", "passthrough", ["b"]),
            ]
        )
        model = make_pipeline(steps, LogisticRegression(max_iter=1000)).fit(frame, species)
        folder = save(model, tmp_path / "1", frame)
        assert metadata(folder)["properties"]["missing_values"] == "[0, 2]"
        assert '"NaN"' in (folder / "golden.json").read_text()

    def test_missing_words_are_imputed_as_by_scikit_learn(self, iris, tmp_path):
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        rows, species = iris
        towns = pd.Series(np.array(["Rom", "Ulm", "Bern"])[species])
        towns[::5] = np.nan
        frame = pd.DataFrame({"town": towns, "width": rows[:, 1]})
        words = make_pipeline(
            SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
        )
        steps = ColumnTransformer([("words", words, ["town"])], remainder="passthrough")
        model = make_pipeline(steps, LogisticRegression(max_iter=1000)).fit(frame, species)
        folder = save(model, tmp_path / "1", frame)
        assert inputs(folder)[0] == ("town", "BYTES")
        # A missing text is asked as an empty one.
        assert any('""' in line for line in (folder / "golden.json").read_text().splitlines())

    def test_whole_numbers_of_pandas_may_be_missing(self, iris, tmp_path):
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        rows, species = iris
        frame = pd.DataFrame({"a": rows[:, 0], "rooms": pd.array(species + 1, dtype="Int64")})
        frame.loc[::9, "rooms"] = pd.NA
        model = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1000))
        folder = save(model.fit(frame, species), tmp_path / "1", frame)
        assert inputs(folder) == [("features", "FP64")]
        assert '"NaN"' in (folder / "golden.json").read_text()

    def test_searches_are_saved_by_their_best_estimator(self, iris, tmp_path):
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.model_selection import GridSearchCV

        rows, species = iris
        search = GridSearchCV(HistGradientBoostingClassifier(max_iter=2), {"max_depth": [2]}, cv=2)
        with pytest.raises(NotSaved, match="the search is not fitted"):
            save(search, tmp_path / "1", rows)
        folder = save(search.fit(rows, species), tmp_path / "1", rows)
        assert files(folder) == ["golden.json", "model.trees.json"]

    def test_histogram_boosting_is_converted_exactly_as_the_last_step(self, iris, tmp_path):
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rows, species = iris
        rows = rows.copy()
        rows[::7, 1] = np.nan
        rows[:, 3] = np.round(rows[:, 3] * 3)
        trees = HistGradientBoostingRegressor(max_iter=30, categorical_features=[3])
        model = make_pipeline(StandardScaler(with_std=False, with_mean=False), trees)
        folder = save(model.fit(rows, species + rows[:, 2]), tmp_path / "1", rows)
        run = session((folder / "model.onnx").read_bytes())

        unknown = rows.copy()
        unknown[::3, 3] = 77.0
        unknown[::5, 3] = np.nan
        for asked in (rows, unknown, np.nextafter(rows, 0)):
            [answer] = run([Tensor.of("features", "FP64", asked.shape, asked)])
            assert np.allclose(answer.numpy()[:, 0], model.predict(asked), rtol=1e-14, atol=1e-14)

    def test_texts_that_reach_histogram_boosting_in_a_pipeline_are_refused(self, iris, tmp_path):
        from sklearn.compose import make_column_transformer
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.pipeline import make_pipeline

        rows, species = iris
        towns = np.array(["Rom", "Ulm"])[species % 2]
        frame = pd.DataFrame({"a": rows[:, 0], "town": pd.Categorical(towns)})
        columns = make_column_transformer(
            ("passthrough", ["a", "town"]), verbose_feature_names_out=False
        ).set_output(transform="pandas")
        trees = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype")
        model = make_pipeline(columns, trees).fit(frame, species)
        with pytest.raises(NotSaved, match="column 'town' reaches HistGradientBoosting") as refusal:
            save(model, tmp_path / "1", frame)
        assert "OrdinalEncoder" in str(refusal.value) and len(str(refusal.value)) < 400

    def test_an_empty_text_is_no_category_beside_missing_ones(self, iris, tmp_path):
        from sklearn.ensemble import HistGradientBoostingClassifier

        rows, species = iris
        towns = np.array(["", "Rom", "Ulm"])[species]
        frame = pd.DataFrame({"a": rows[:, 0], "town": pd.Categorical(towns)})
        model = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype")
        with pytest.raises(NotSaved, match="column 'town' has the category ''"):
            save(model.fit(frame, species), tmp_path / "1", frame)

    def test_models_that_are_not_fitted_are_told_so(self, iris, tmp_path):
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline

        for model in (Ridge(), make_pipeline(Ridge()), HistGradientBoostingRegressor()):
            with pytest.raises(NotSaved, match=r"is not fitted; call fit\(X, y\) first"):
                save(model, tmp_path / "1", iris[0])

    def test_scores_are_not_called_probabilities(self, iris, tmp_path):
        from sklearn.svm import SVC

        rows, species = iris
        folder = save(SVC().fit(rows, species), tmp_path / "1", rows)
        assert outputs(folder)[1][0] == "scores"

    def test_a_file_that_answers_otherwise_is_refused_with_the_row(self, iris, tmp_path):
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Normalizer

        rows, species = iris
        rows = rows - 3
        model = make_pipeline(Normalizer("max"), Ridge()).fit(rows, species)
        with pytest.raises(NotSaved, match=r"for the row \[.*\] the original answers"):
            save(model, tmp_path / "1", rows)
        assert not (tmp_path / "1").exists()

    def test_forests_that_learned_from_missing_values_are_refused(self, iris, tmp_path):
        from sklearn.ensemble import RandomForestClassifier

        rows, species = iris
        rows = rows.copy()
        rows[::4, 2] = np.nan
        model = RandomForestClassifier(10, random_state=0).fit(rows, species)
        with pytest.raises(NotSaved, match="nan"):
            save(model, tmp_path / "1", rows)

    def test_estimators_without_a_converter_are_named(self, iris, tmp_path):
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline

        rows, species = iris
        model = make_pipeline(Nystroem(n_components=4), Ridge()).fit(rows, species)
        with pytest.raises(NotSaved, match="skl2onnx does not convert this Pipeline: .*Nystroem"):
            save(model, tmp_path / "1", rows)

    def test_a_wider_tolerance_can_be_asked_for(self, iris, tmp_path):
        from sklearn.linear_model import Ridge

        rows, species = iris
        tolerance = Tolerance(relative=0.5, absolute=0.25)
        folder = save(Ridge().fit(rows, species), tmp_path / "1", rows, tolerance=tolerance)
        assert golden(folder)["tolerance"] == {"relative": 0.5, "absolute": 0.25}


class TestXgboost:
    xgboost = pytest.importorskip("xgboost")

    def test_its_own_format_and_the_number_for_missing_values(self, iris, tmp_path):
        rows, species = iris
        model = self.xgboost.XGBClassifier(n_estimators=3, missing=-999).fit(rows, species)
        folder = save(model, tmp_path / "1", rows)
        assert files(folder) == ["golden.json", "metadata.json", "model.json"]
        assert metadata(folder) == {"missing": -999.0}
        assert outputs(folder) == [("label", "INT64"), ("probabilities", "FP32")]

    def test_the_binary_format_and_names_of_classes(self, iris, tmp_path):
        rows, species = iris
        matrix = self.xgboost.DMatrix(rows, species)
        model = self.xgboost.train({"objective": "multi:softprob", "num_class": 3}, matrix, 3)
        names = ["setosa", "versicolor", "virginica"]
        folder = save(model, tmp_path / "1", rows, format="ubj", classes=names)
        assert (folder / "model.ubj").read_bytes()[:1] == b"{"
        assert metadata(folder)["classes"] == names
        assert outputs(folder)[0] == ("label", "BYTES")

    def test_rows_with_missing_values_are_asked(self, iris, tmp_path):
        rows, species = iris
        folder = save(self.xgboost.XGBRegressor(n_estimators=3).fit(rows, species), tmp_path, rows)
        assert '"NaN"' in (folder / "golden.json").read_text()

    def test_categories_are_inputs_of_texts(self, iris, tmp_path):
        rows, species = iris
        town = pd.Categorical(np.where(species > 0, "Ulm", "Rom"))
        frame = pd.DataFrame({"length": rows[:, 0], "town": town})
        model = self.xgboost.XGBRegressor(n_estimators=3, enable_categorical=True)
        folder = save(model.fit(frame, species), tmp_path / "1", frame)
        assert inputs(folder) == [("length", "FP32"), ("town", "BYTES")]

    def test_an_empty_text_is_no_category(self, iris, tmp_path):
        rows, species = iris
        frame = pd.DataFrame({"town": pd.Categorical(np.where(species > 0, "Ulm", ""))})
        model = self.xgboost.XGBRegressor(n_estimators=3, enable_categorical=True)
        with pytest.raises(NotSaved, match="column 'town' has the category ''"):
            save(model.fit(frame, species), tmp_path / "1", frame)

    def test_models_that_are_not_fitted_are_told_so(self, iris, tmp_path):
        with pytest.raises(NotSaved, match="is not fitted"):
            save(self.xgboost.XGBRegressor(), tmp_path / "1", iris[0])


class TestLightgbm:
    lightgbm = pytest.importorskip("lightgbm")

    def test_names_of_classes_and_columns_are_written_beside_the_file(self, iris, tmp_path):
        rows, species = iris
        frame = pd.DataFrame(rows, columns=["a b", "c", "d", "e"])
        names = np.array(["setosa", "versicolor", "virginica"])[species]
        model = self.lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, names)
        folder = save(model, tmp_path / "1", frame)
        assert files(folder) == ["golden.json", "metadata.json", "model.txt"]
        assert metadata(folder)["columns"] == {"a b": "a_b"}
        assert metadata(folder)["classes"] == ["setosa", "versicolor", "virginica"]
        assert inputs(folder) == [("features", "FP64")]
        assert outputs(folder) == [("label", "BYTES"), ("probabilities", "FP64")]

    def test_columns_of_categories_are_written_beside_the_file(self, iris, tmp_path):
        rows, species = iris
        town = pd.Categorical(np.where(species > 0, "Ulm", "Rom"))
        frame = pd.DataFrame({"length": rows[:, 0], "town": town})
        model = self.lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(frame, species)
        folder = save(model, tmp_path / "1", frame)
        assert metadata(folder)["categorical_columns"] == ["town"]
        assert inputs(folder) == [("length", "FP64"), ("town", "BYTES")]

    def test_an_empty_text_is_no_category(self, iris, tmp_path):
        rows, species = iris
        frame = pd.DataFrame({"town": pd.Categorical(np.where(species > 0, "Ulm", ""))})
        model = self.lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(frame, species)
        with pytest.raises(NotSaved, match="column 'town' has the category ''"):
            save(model, tmp_path / "1", frame)

    def test_models_that_are_not_fitted_are_told_so(self, iris, tmp_path):
        with pytest.raises(NotSaved, match="is not fitted"):
            save(self.lightgbm.LGBMRegressor(), tmp_path / "1", iris[0])


class TestSample:
    def test_samples_of_other_kinds_are_refused(self):
        with pytest.raises(TypeError, match="not dict"):
            prepare(object(), {"a": [1]})
        with pytest.raises(ValueError, match="has no rows"):
            prepare(object(), np.zeros((0, 3)))
        with pytest.raises(ValueError, match="no complex numbers"):
            prepare(object(), np.zeros((1, 3), dtype=complex))
        with pytest.raises(ValueError, match="several columns called 'a'"):
            prepare(object(), pd.DataFrame([[1, 2]], columns=["a", "a"]))

    def test_models_of_other_libraries_are_named(self):
        with pytest.raises(NotSaved, match="there is no exporter for builtins.object"):
            prepare(object(), np.zeros((1, 3)))
