"""Goldens of src/io/nifti*.c and src/io/volume.c: small NIfTI files of every type and version with nibabel's values and
affines, orientations by nibabel, other spacings and grids by SimpleITK, windows by pydicom.

    python tests/golden/make_nifti.py        writes tests/golden/nifti/* and tests/golden/nifti.safetensors"""
import os
import shutil

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "nifti")
expected = {}
I, J, K = np.mgrid[0:5, 0:4, 0:3]
BASE = (I * 37 + J * J * 11 - K * 50 + 3).astype(np.float64)


def turned(angles, spacing, shift):
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    a = np.eye(4)
    a[:3, :3], a[:3, 3] = (z @ y @ x) * spacing, shift
    return a


TILTED = turned([0.2, -0.3, 0.1], [1.5, 2, 2.5], [10, -20, 5])


def save(name, image):
    path = os.path.join(OUT, name)
    nib.save(image, path)
    image = nib.load(path)
    x = image.get_fdata()
    if x.ndim > 4:
        x = x.reshape(x.shape[:3] + (-1,), order="F")
    expected[name + ".x"] = np.ascontiguousarray(x.T.astype(np.float32))
    expected[name + ".affine"] = image.affine[:3].astype(np.float32)


def types():
    for t in ("uint8", "int16", "int32", "float32", "float64", "int8", "uint16", "uint32", "int64", "uint64"):
        x = BASE if t[0] in "if" else np.abs(BASE)
        info = np.iinfo(t) if t[0] in "iu" else None
        x = (np.clip(x, max(info.min, -2**62), min(info.max, 2**62)) if info else x / 7).astype(t)
        save(t + ".nii", nib.Nifti1Image(x, TILTED, dtype=t))
    for name, make in (("scaled.nii.gz", nib.Nifti1Image), ("scaled2.nii.gz", nib.Nifti2Image)):
        image = make(BASE.astype(np.int16), TILTED)
        image.header.set_slope_inter(0.37, -12.5)
        path = os.path.join(OUT, name)
        image.to_filename(path)
        raw = nib.load(path)
        raw.header.set_slope_inter(0.37, -12.5)
        save(name, raw)
    save("big.nii", nib.Nifti1Image(BASE.astype(">i2"), TILTED, nib.Nifti1Header(endianness=">")))
    save("version2.nii", nib.Nifti2Image(BASE.astype(np.float32), TILTED))
    save("pair.img", nib.Nifti1Pair(BASE.astype(np.int16), TILTED))
    save("times.nii.gz", nib.Nifti1Image(np.stack([BASE, BASE + 1000], -1).astype(np.int16), TILTED))
    save("vector.nii", nib.Nifti1Image(np.stack([BASE, -BASE], -1)[:, :, :, None].astype(np.int16), TILTED))
    save("flat.nii", nib.Nifti1Image(BASE[:, :, 0].astype(np.int16), TILTED))


def placed():
    image = nib.Nifti1Image(BASE.astype(np.int16), None)
    image.set_sform(None, 0)
    image.set_qform(TILTED @ np.diag([1, 1, -1, 1]), 1)
    save("qform.nii", image)
    image = nib.Nifti1Image(BASE.astype(np.int16), None)
    image.header["pixdim"][1:4] = [2, 3, 4]
    image.header["sform_code"] = image.header["qform_code"] = 0
    save("spacing.nii", image)


def transforms():
    """Of float32.nii."""
    image = nib.load(os.path.join(OUT, "float32.nii"))
    for axes in ("RAS", "LPS", "SAL", "PIR"):
        ornt = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
        out = image.as_reoriented(ornt)
        expected["axes %s.x" % axes] = np.ascontiguousarray(out.get_fdata().T.astype(np.float32))
        expected["axes %s.affine" % axes] = out.affine[:3].astype(np.float32)
    itk = sitk.ReadImage(os.path.join(OUT, "float32.nii"))
    for name, spacing in (("fine", (0.7, 0.95, 1.1)), ("coarse", (3.1, 2.0, 3.9))):
        size = np.array(itk.GetSize())
        old, new = np.array(itk.GetSpacing()), np.array(spacing)
        count = np.maximum(np.floor(size * old / new + 0.5).astype(int), 1)
        first = ((size - 1) - new / old * (count - 1)) / 2
        for kind, how in (("linear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)):
            r = sitk.ResampleImageFilter()
            r.SetOutputSpacing(spacing)
            r.SetSize([int(c) for c in count])
            r.SetOutputDirection(itk.GetDirection())
            r.SetOutputOrigin(itk.TransformContinuousIndexToPhysicalPoint(first.tolist()))
            r.SetInterpolator(how)
            r.SetUseNearestNeighborExtrapolator(True)
            out = r.Execute(itk)
            expected["spacing %s %s.x" % (name, kind)] = sitk.GetArrayFromImage(out).astype(np.float32)
    # Another grid altogether, beyond the first one's edge.
    nib.save(nib.Nifti1Image(np.zeros((6, 7, 5), np.uint8), turned([0, 0.1, 0], [2.5, 1.5, 2], [6, -21, 3])),
             os.path.join(OUT, "grid.nii"))
    grid = sitk.ReadImage(os.path.join(OUT, "grid.nii"))
    for kind, how in (("linear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)):
        out = sitk.Resample(itk, grid, sitk.Transform(), how, -7.0)
        expected["like %s.x" % kind] = sitk.GetArrayFromImage(out).astype(np.float32)
    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth, ds.BitsStored, ds.PixelRepresentation = "40", "80", 16, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    low, high = -32768, 32767
    y = apply_windowing(image.get_fdata().T, ds)
    expected["window.x"] = ((y - low) / (high - low)).astype(np.float32)


shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
types()
placed()
transforms()
save_file(expected, os.path.join(HERE, "nifti.safetensors"))
