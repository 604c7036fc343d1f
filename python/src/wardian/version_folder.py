"""The folder of a version: its files, on disk or as a tar."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Files that `save` writes, and so may replace.
_OURS = ("golden.json", "metadata.json")


@dataclass(frozen=True)
class VersionFolder:
    """The files of a version by name, and the model's ``model.toml``, if it needs one."""

    files: dict[str, bytes]
    settings: str | None = None

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Puts the files in place in one step, so that a server never sees half of them.

        Raises:
            FileExistsError: if the folder has files that were not saved by this package.
        """
        folder = Path(folder)
        _check_replaceable(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".wardian-save-", dir=folder.parent))
        try:
            staged.chmod(0o755)
            for name, content in self.files.items():
                (staged / name).write_bytes(content)
            self._write_settings(folder)
            _swap(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return folder

    def tar(self) -> bytes:
        """Returns the files as a tar, with ``model.toml`` if the model has settings."""
        files = dict(self.files)
        if self.settings is not None:
            files["model.toml"] = self.settings.encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    def _write_settings(self, folder: Path) -> None:
        """Settings are in the model's folder, which has those of its owner perhaps."""
        settings = folder.parent / "model.toml"
        if self.settings is not None and folder.name.isdigit() and not settings.exists():
            settings.write_text(self.settings)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    names = sorted(entry.name for entry in folder.iterdir())
    foreign = [name for name in names if name not in _OURS and not name.startswith("model.")]
    if foreign:
        raise FileExistsError(f"{folder} has files that were not saved here: {foreign}")


def _swap(staged: Path, folder: Path) -> None:
    if not folder.exists():
        staged.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=".wardian-old-", dir=folder.parent))
    folder.rename(old / "old")
    staged.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
