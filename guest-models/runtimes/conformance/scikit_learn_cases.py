"""Estimators and pipelines of scikit-learn: each family that skl2onnx converts."""

from sklearn import (
    calibration,
    cluster,
    cross_decomposition,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    gaussian_process,
    kernel_approximation,
    linear_model,
    mixture,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    preprocessing,
    random_projection,
    svm,
    tree,
)  # fmt: skip
from sklearn.pipeline import FeatureUnion, make_pipeline

import data_sets
from case import case

SCALER = preprocessing.StandardScaler
FOREST = {"n_estimators": 20, "max_depth": 6, "random_state": 0}

PLAIN = [
    ("linear-regression", "diabetes", linear_model.LinearRegression()),
    ("ridge", "diabetes", linear_model.Ridge(alpha=0.5)),
    ("lasso", "diabetes", linear_model.Lasso(alpha=0.1)),
    ("elastic-net", "diabetes", linear_model.ElasticNet(alpha=0.01)),
    ("bayesian-ridge", "diabetes", linear_model.BayesianRidge()),
    ("huber-regression", "diabetes", linear_model.HuberRegressor(max_iter=500)),
    ("quantile-regression", "diabetes", linear_model.QuantileRegressor(alpha=0.01)),
    ("poisson-regression", "diabetes", linear_model.PoissonRegressor(alpha=1e-3)),
    ("gamma-regression", "diabetes", linear_model.GammaRegressor(alpha=1e-3)),
    ("tweedie-regression", "diabetes", linear_model.TweedieRegressor(power=1.5, alpha=1e-3)),
    ("ransac", "diabetes", linear_model.RANSACRegressor(random_state=0)),
    ("sgd-regression", "diabetes", linear_model.SGDRegressor(random_state=0)),
    ("multi-task-lasso", "exercises", linear_model.MultiTaskLasso(alpha=1.0)),
    ("partial-least-squares", "diabetes", cross_decomposition.PLSRegression(n_components=3)),
    ("logistic-regression", "iris", linear_model.LogisticRegression(max_iter=1000)),
    ("logistic-regression-binary", "cancer",
     make_pipeline(SCALER(), linear_model.LogisticRegression())),
    ("ridge-classifier", "wine", make_pipeline(SCALER(), linear_model.RidgeClassifier())),
    ("sgd-classifier", "cancer",
     make_pipeline(SCALER(), linear_model.SGDClassifier(loss="log_loss", random_state=0))),
    ("perceptron", "iris", linear_model.Perceptron(random_state=0)),
    ("linear-svc", "iris", svm.LinearSVC(random_state=0)),
    ("linear-svr", "diabetes", make_pipeline(SCALER(), svm.LinearSVR(random_state=0))),
    ("linear-discriminant", "wine", discriminant_analysis.LinearDiscriminantAnalysis()),
    ("gaussian-bayes", "iris", naive_bayes.GaussianNB()),
    ("multinomial-bayes", "digits", naive_bayes.MultinomialNB()),
    ("bernoulli-bayes", "digits", naive_bayes.BernoulliNB(binarize=8.0)),
    ("complement-bayes", "digits", naive_bayes.ComplementNB()),
    ("neighbours-classifier", "wine", make_pipeline(SCALER(), neighbors.KNeighborsClassifier(5))),
    ("neighbours-regression", "diabetes", neighbors.KNeighborsRegressor(4)),
    ("svc", "iris", svm.SVC(gamma="auto")),
    ("svc-binary", "cancer", make_pipeline(SCALER(), svm.SVC())),
    ("nu-svc", "wine", make_pipeline(SCALER(), svm.NuSVC(nu=0.2))),
    ("svr", "diabetes", svm.SVR(C=100.0)),
    ("nu-svr", "diabetes", svm.NuSVR(C=100.0)),
    ("one-class-svm", "iris", svm.OneClassSVM(gamma=0.2)),
    ("decision-tree", "wine", tree.DecisionTreeClassifier(max_depth=5, random_state=0)),
    ("decision-tree-regression", "diabetes",
     tree.DecisionTreeRegressor(max_depth=6, random_state=0)),
    ("extra-tree", "wine", tree.ExtraTreeClassifier(max_depth=5, random_state=0)),
    ("random-forest", "digits", ensemble.RandomForestClassifier(**FOREST)),
    ("random-forest-binary", "cancer", ensemble.RandomForestClassifier(**FOREST)),
    ("random-forest-regression", "diabetes", ensemble.RandomForestRegressor(**FOREST)),
    ("extra-trees", "wine", ensemble.ExtraTreesClassifier(**FOREST)),
    ("extra-trees-regression", "diabetes", ensemble.ExtraTreesRegressor(**FOREST)),
    ("gradient-boosting", "wine",
     ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0)),
    ("gradient-boosting-binary", "cancer",
     ensemble.GradientBoostingClassifier(n_estimators=30, random_state=0)),
    ("gradient-boosting-regression", "diabetes",
     ensemble.GradientBoostingRegressor(n_estimators=50, random_state=0)),
    ("ada-boost", "iris", ensemble.AdaBoostClassifier(n_estimators=10, random_state=0)),
    ("ada-boost-regression", "diabetes",
     ensemble.AdaBoostRegressor(n_estimators=10, random_state=0)),
    ("bagging", "iris", ensemble.BaggingClassifier(n_estimators=5, random_state=0)),
    ("bagging-regression", "diabetes",
     ensemble.BaggingRegressor(n_estimators=5, random_state=0)),
    ("isolation-forest", "iris",
     ensemble.IsolationForest(n_estimators=10, random_state=0)),
    ("multi-layer-perceptron", "iris",
     neural_network.MLPClassifier(hidden_layer_sizes=(8,), max_iter=2000, random_state=0)),
    ("multi-layer-regression", "diabetes",
     make_pipeline(SCALER(), neural_network.MLPRegressor(
         hidden_layer_sizes=(10,), activation="tanh", max_iter=300, random_state=0))),
    ("gaussian-process", "iris",
     gaussian_process.GaussianProcessRegressor(
         gaussian_process.kernels.RBF(2.0), alpha=0.1, optimizer=None)),
    ("k-means", "iris", cluster.KMeans(3, n_init=3, random_state=0)),
    ("mini-batch-k-means", "wine", cluster.MiniBatchKMeans(3, n_init=3, random_state=0)),
    ("gaussian-mixture", "iris", mixture.GaussianMixture(3, random_state=0)),
    ("voting", "iris", ensemble.VotingClassifier([
        ("a", linear_model.LogisticRegression(max_iter=1000)),
        ("b", naive_bayes.GaussianNB())], voting="soft")),
    ("voting-regression", "diabetes", ensemble.VotingRegressor([
        ("a", linear_model.Ridge()), ("b", linear_model.Lasso())])),
    ("stacking", "iris", ensemble.StackingClassifier([
        ("a", linear_model.LogisticRegression(max_iter=1000)),
        ("b", naive_bayes.GaussianNB())], cv=3)),
    ("stacking-regression", "diabetes", ensemble.StackingRegressor([
        ("a", linear_model.Ridge()), ("b", linear_model.Lasso())], cv=3)),
    ("one-vs-rest", "iris",
     multiclass.OneVsRestClassifier(linear_model.LogisticRegression(max_iter=1000))),
    ("one-vs-one", "iris",
     multiclass.OneVsOneClassifier(linear_model.LogisticRegression(max_iter=1000))),
    ("multi-output-regression", "exercises",
     multioutput.MultiOutputRegressor(linear_model.Ridge())),
    ("calibrated", "iris",
     calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=3)),
    ("grid-search", "iris", model_selection.GridSearchCV(
        linear_model.LogisticRegression(max_iter=1000), {"C": [0.1, 1.0]}, cv=3)),
    ("min-max-pca", "wine",
     make_pipeline(preprocessing.MinMaxScaler(), decomposition.PCA(4, random_state=0),
                   linear_model.LogisticRegression())),
    ("robust-kernel-pca", "iris",
     make_pipeline(preprocessing.RobustScaler(),
                   decomposition.KernelPCA(3, kernel="rbf", random_state=0),
                   linear_model.LogisticRegression())),
    ("max-abs-svd", "wine",
     make_pipeline(preprocessing.MaxAbsScaler(),
                   decomposition.TruncatedSVD(4, random_state=0), svm.SVC())),
    ("normalizer", "iris",
     make_pipeline(preprocessing.Normalizer("l2"),
                   linear_model.LogisticRegression(max_iter=1000))),
    ("polynomial", "iris",
     make_pipeline(preprocessing.PolynomialFeatures(2),
                   linear_model.LogisticRegression(max_iter=5000))),
    ("power", "wine",
     make_pipeline(preprocessing.PowerTransformer(), linear_model.LogisticRegression())),
    ("bins", "wine",
     make_pipeline(preprocessing.KBinsDiscretizer(
         4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
         linear_model.LogisticRegression())),
    ("binarizer", "digits",
     make_pipeline(preprocessing.Binarizer(threshold=8.0), naive_bayes.BernoulliNB())),
    ("select-best", "wine",
     make_pipeline(feature_selection.SelectKBest(k=5), SCALER(),
                   linear_model.LogisticRegression())),
    ("variance-threshold", "digits",
     make_pipeline(feature_selection.VarianceThreshold(0.1),
                   linear_model.LogisticRegression(max_iter=1000))),
    ("random-projection", "wine",
     make_pipeline(SCALER(), random_projection.GaussianRandomProjection(4, random_state=0),
                   linear_model.LogisticRegression())),
    ("feature-union", "wine",
     make_pipeline(SCALER(), FeatureUnion([
         ("pca", decomposition.PCA(2, random_state=0)),
         ("best", feature_selection.SelectKBest(k=3))]), linear_model.LogisticRegression())),
    ("scaled-forest", "wine", make_pipeline(SCALER(), ensemble.RandomForestClassifier(**FOREST))),
    ("scaler", "wine", SCALER()),
]  # fmt: skip

REFUSED = [
    ("gaussian-process-classifier", "cancer",
     make_pipeline(SCALER(), decomposition.PCA(3, random_state=0),
                   gaussian_process.GaussianProcessClassifier(optimizer=None)), "Solve"),
    ("quadratic-discriminant", "iris", discriminant_analysis.QuadraticDiscriminantAnalysis(),
     "output 'label' has shape [1, 150]"),
    # Some flowers are equally far from others, and the order of those decides.
    ("neighbours-equally-far", "iris", neighbors.KNeighborsClassifier(5), "for the row"),
    ("nystroem", "iris",
     make_pipeline(kernel_approximation.Nystroem(n_components=5, random_state=0),
                   linear_model.LogisticRegression()), "skl2onnx does not convert"),
]  # fmt: skip

FLOAT32 = {
    "power": "the exponents of PowerTransformer are 32-bit floats in the file",
}


def _fit(data_set, model):
    def fit():
        rows, target = getattr(data_sets, data_set)()
        return model.fit(rows, target), rows

    return fit


for _name, _data, _model in PLAIN:
    case(_name, float32=FLOAT32.get(_name))(_fit(_data, _model))
for _name, _data, _model, _text in REFUSED:
    case(_name, refused=_text)(_fit(_data, _model))
