"""Real data sets, shipped by packages: rows, and what is to be predicted of them."""

import functools

import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn import datasets
from vega_datasets import local_data


@functools.cache
def iris():
    """150 flowers: four lengths; three species."""
    return datasets.load_iris(return_X_y=True)


@functools.cache
def iris_frame():
    """The same as a frame."""
    rows, species = datasets.load_iris(return_X_y=True, as_frame=True)
    return rows, species


@functools.cache
def wine():
    """178 wines: 13 measurements; three cultivars."""
    return datasets.load_wine(return_X_y=True)


@functools.cache
def cancer():
    """569 tumours: 30 measurements; malignant or benign."""
    return datasets.load_breast_cancer(return_X_y=True)


@functools.cache
def diabetes():
    """442 patients: ten measurements; the progression of the disease."""
    return datasets.load_diabetes(return_X_y=True)


@functools.cache
def digits():
    """600 pictures of 64 pixels from 0 to 16; ten digits."""
    rows, digit = datasets.load_digits(return_X_y=True)
    return rows[:600], digit[:600]


@functools.cache
def exercises():
    """20 men: three exercises; three measurements."""
    return datasets.load_linnerud(return_X_y=True)


@functools.cache
def penguins():
    """344 penguins: words, numbers and missing values; the species."""
    frame = load_penguins()
    rows = frame.drop(columns=["species"])
    return rows, frame["species"].to_numpy(dtype=object)


@functools.cache
def penguin_sizes():
    """The numbers of the penguins, with missing ones, as 64-bit floats; the species by number."""
    rows, species = penguins()
    numbers = rows[["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]]
    return numbers.to_numpy(np.float64), np.unique(species, return_inverse=True)[1]


@functools.cache
def cars():
    """398 cars: numbers with missing ones, words; miles per gallon."""
    frame = local_data.cars().dropna(subset=["Miles_per_Gallon"]).reset_index(drop=True)
    rows = frame[["Cylinders", "Displacement", "Horsepower", "Weight_in_lbs", "Acceleration",
                  "Origin"]]  # fmt: skip
    return rows, frame["Miles_per_Gallon"].to_numpy(np.float64)


@functools.cache
def categorical_cars():
    """The cars with their origin and cylinders as categories, in an order of our own."""
    rows, miles = cars()
    rows = rows.copy()
    rows["Origin"] = pd.Categorical(rows["Origin"].astype(object), ["USA", "Japan", "Europe"])
    rows["Cylinders"] = pd.Categorical(
        rows["Cylinders"].map(lambda number: f"{number} cylinders").astype(object)
    )
    return rows, miles


@functools.cache
def car_names():
    """406 names of cars, such as "chevrolet vega 2300"; where each was made."""
    frame = local_data.cars()
    return frame["Name"].tolist(), frame["Origin"].to_numpy(dtype=object)


@functools.cache
def weather():
    """1461 days in Seattle: rain, temperatures, wind; the kind of weather."""
    frame = local_data.seattle_weather()
    rows = frame[["precipitation", "temp_max", "temp_min", "wind"]]
    return rows, frame["weather"].to_numpy(dtype=object)
