"""Goldens of src/io/image_dicom.c: what pydicom's apply_windowing makes of small DICOM files, from 0 to 1. Files of
tests/golden/dicom are used, and a few more are made by formula.

    python tests/golden/make_dicom_windows.py    writes tests/golden/dicom/window_*.dcm and dicom_windows.safetensors"""
import os

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "dicom")
Y, X = np.mgrid[0:10, 0:14]
VALUES = ((X - 7) ** 2 * 41 + (Y - 5) ** 3 * 13 - 300).astype(np.int16)
expected = {}


def save(name, function, photometric="MONOCHROME2", centre="120.5", width="900", signed=1, slope="2", intercept="-50"):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.826.0.1.9"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.826.0.1.2", "1.2.826.0.1.4", "CT"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 10, 14, 1, photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16 if signed else 12, 15 if signed else 11, signed
    ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
    ds.WindowCenter, ds.WindowWidth = centre, width
    if function:
        ds.VOILUTFunction = function
    ds.PixelData = (VALUES if signed else (VALUES % 4096).astype(np.uint16)).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(os.path.join(OUT, name + ".dcm"), enforce_file_format=True)


def windowed(ds, centre=None, width=None):
    """pydicom's result as a share of the range that it stretches windows to."""
    if centre is not None:
        ds.WindowCenter, ds.WindowWidth = str(centre), str(width)
        if "VOILUTFunction" in ds:
            del ds.VOILUTFunction
    values = apply_modality_lut(ds.pixel_array, ds)
    low, high = (-2.0 ** (ds.BitsStored - 1), 2.0 ** (ds.BitsStored - 1) - 1) if ds.PixelRepresentation else \
        (0.0, 2.0 ** ds.BitsStored - 1)
    if "RescaleSlope" in ds:
        low, high = low * ds.RescaleSlope + ds.RescaleIntercept, high * ds.RescaleSlope + ds.RescaleIntercept
    out = (apply_windowing(values, ds) - low) / (high - low)
    return 1 - out if ds.PhotometricInterpretation == "MONOCHROME1" else out


def expect(name):
    path = os.path.join(OUT, name + ".dcm")
    expected[name + ".file"] = windowed(pydicom.dcmread(path)).astype(np.float32)
    for what, centre, width in (("soft", 40, 400), ("lung", -600, 1500), ("30/1", 30, 1), ("-100.5/77", -100.5, 77)):
        expected[f"{name}.{what}"] = windowed(pydicom.dcmread(path), centre, width).astype(np.float32)


save("window_linear", None)
save("window_exact", "LINEAR_EXACT", centre="12.25", width="333.5")
save("window_sigmoid", "SIGMOID")
save("window_dark", "LINEAR", photometric="MONOCHROME1", signed=0, centre="2047", width="3000", slope="1", intercept="0")
for each in ("window_linear", "window_exact", "window_sigmoid", "window_dark", "explicit", "deflated", "jpeg_lossless"):
    if "WindowWidth" in pydicom.dcmread(os.path.join(OUT, each + ".dcm")):
        expect(each)


def table(name, signed, first, entries, bits, photometric="MONOCHROME2"):
    """A file with a table for what is seen (VOI LUT) and no window."""
    save(name, None, photometric=photometric, signed=signed, slope="1", intercept="0")
    ds = pydicom.dcmread(os.path.join(OUT, name + ".dcm"))
    del ds.WindowCenter, ds.WindowWidth
    lut = Dataset()
    lut.add_new(0x00283002, "SS" if signed else "US", [len(entries), first, bits])
    lut.add_new(0x00283006, "OW", np.asarray(entries, np.uint16).tobytes())
    ds.VOILUTSequence = Sequence([lut])
    ds.save_as(os.path.join(OUT, name + ".dcm"), enforce_file_format=True)
    out = apply_voi(pydicom.dcmread(os.path.join(OUT, name + ".dcm")).pixel_array, ds) / (2.0 ** bits - 1)
    expected[name + ".file"] = (1 - out if photometric == "MONOCHROME1" else out).astype(np.float32)


table("window_table", 1, -700, [int(4095 * (i / 1200) ** 1.7) for i in range(1201)], 12)
table("window_table_dark", 0, 10, [40 + 3 * i for i in range(300)], 10, "MONOCHROME1")
save_file(expected, os.path.join(HERE, "dicom_windows.safetensors"))
print(len(expected), "pictures")
