"""Trains a model again and again, and puts each one into a bucket as a new version.

usage: retrain.py [--every SECONDS] [--times COUNT] s3://BUCKET/FOLDER/MODEL

It needs boto3 and the package wardian with scikit-learn. The store and the credentials come from boto3's
environment variables, such as AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID.
"""

import argparse
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import numpy as np
import wardian
from sklearn.ensemble import HistGradientBoostingRegressor


def latest_rides(hours=2000):
    """The hours and temperatures of the last weeks, and how many bicycles were rented in each.

    Stands for your own query. What it returns changes all the time, as real data does.
    """
    random = np.random.default_rng()
    hour, temperature = random.integers(0, 24, hours), random.normal(15, 8, hours)
    busy = np.exp(-(((hour - 17) / 4) ** 2))
    level = random.uniform(50, 150)
    return np.column_stack([hour, temperature]), level * busy * (1 + temperature / 40).clip(0) + random.normal(0, 5, hours)


def retrain(bucket, folder):
    """Trains a model, and puts it into the bucket. Returns its version."""
    rows, rides = latest_rides()
    model = HistGradientBoostingRegressor(max_iter=50).fit(rows, rides)

    # The time as a number is newer than every one before, and needs no look at the bucket.
    version = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    with tempfile.TemporaryDirectory() as models:
        saved = Path(models, "model", version)
        wardian.save(model, saved, sample=rows)
        put(bucket, f"{folder}/{version}", saved)
    return version


def put(bucket, folder, saved):
    """Copies the files of a version into the bucket. The model comes last, and makes it a version."""
    for file in sorted(saved.iterdir(), key=lambda file: file.name.startswith("model.")):
        bucket.upload_file(str(file), f"{folder}/{file.name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, default=3600, help="seconds from one start to the next")
    parser.add_argument("--times", type=int, help="how often; without end if this is not given")
    parser.add_argument("model", help="s3://BUCKET/FOLDER/MODEL")
    arguments = parser.parse_args()

    url = urlsplit(arguments.model)
    bucket = boto3.resource("s3").Bucket(url.netloc)
    done = 0
    while True:
        started = time.monotonic()
        try:
            print("trained version", retrain(bucket, url.path.strip("/")), flush=True)
        except Exception as error:  # The server goes on with the last version, and so does this loop.
            print("failed:", error, flush=True)
        done += 1
        if done == arguments.times:
            return
        time.sleep(max(0, started + arguments.every - time.monotonic()))


if __name__ == "__main__":
    main()
