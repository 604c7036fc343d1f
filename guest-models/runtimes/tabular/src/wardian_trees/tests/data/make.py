"""Makes the files of this folder: pip install scikit-learn==1.9.1 pandas and this repository's Python
package, then run it here. It prints the answers that the tests expect."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from wardian.exporters.hist_gradient_boosting import export

number = np.arange(120.0)
word = np.tile(["Bern", "Köln", "", 'a"b'], 30)
code = np.repeat([9.0, -1.5, 4.0], 40)
y = number / 10 + np.where(word == "Köln", 5, 0) - np.where(code == 4, 3, 0)
frame = pd.DataFrame({
    "number": np.where(number % 7 == 0, np.nan, number),
    "word": pd.Categorical(np.where(number % 11 == 0, None, word)),
    "code": pd.Categorical(code),
})
small = dict(max_iter=3, max_leaf_nodes=5, min_samples_leaf=5, learning_rate=0.5)

regressor = HistGradientBoostingRegressor(loss="poisson", **small).fit(frame, y - y.min() + 1)
open("poisson.trees.json", "wb").write(export(regressor))
asked = pd.DataFrame({
    "number": [3.0, np.nan, 59.5, 1e300, -np.inf],
    "word": pd.Categorical(["Köln", None, "unseen", "", 'a"b']),
    "code": pd.Categorical([4.0, 9, -1.5, 77, np.nan]),
})
print(regressor.predict(asked).tolist())

classes = np.array(["ja", "nein", "vielleicht ☂"])[(y > 3).astype(int) + (y > 8)]
classifier = HistGradientBoostingClassifier(**small).fit(number.reshape(-1, 1), classes)
open("softmax.trees.json", "wb").write(export(classifier))
rows = [[3.0], [60.0], [np.nan], [np.inf]]
print(classifier.predict(rows).tolist(), classifier.predict_proba(rows).tolist())

classifier = HistGradientBoostingClassifier(**small).fit(number.reshape(-1, 1), np.where(y > 5, 12, -7))
open("logistic.trees.json", "wb").write(export(classifier))
print(classifier.predict(rows).tolist(), classifier.predict_proba(rows).tolist())
