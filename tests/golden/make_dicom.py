"""Goldens of src/io/dicom*.c: small DICOM files in every form of pixels that is read, and what pydicom makes of them. All
pictures are made by formula.

    python tests/golden/make_dicom.py        writes tests/golden/dicom/*.dcm and tests/golden/dicom.safetensors"""
import io
import os
import shutil
import warnings

import gdcm
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, pack_bits, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian,
                         ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless)
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "dicom")
warnings.simplefilter("ignore")
expected = {}

Y, X = np.mgrid[0:12, 0:16]
CT = ((X - 8) ** 2 * 37 + (Y - 6) ** 3 * 11 - 900).astype(np.int16)
COLOUR = np.stack([np.stack([(X * 15 + 10 * k) % 256, Y * 20 % 256, X * Y % 256], -1) for k in range(2)]).astype(np.uint8)


def dataset(photometric, rows, columns, bits, frames=1, samples=1, signed=0, stored=None):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.826.0.1.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.826.0.1.2", "1.2.826.0.1.3"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = "P-17", "Secret^Name", "19700101"
    ds.Modality, ds.PatientSex, ds.PatientAge, ds.Manufacturer = "CT", "F", "042Y", "Nobody"
    ds.BodyPartExamined, ds.Laterality = "CHEST", "L"
    ds.SeriesNumber, ds.InstanceNumber = "3", "1"
    ds.add_new(0x00091001, "LO", "private")
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, samples, photometric
    ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation = bits, stored or bits, signed
    ds.HighBit = ds.BitsStored - 1
    if samples > 1:
        ds.PlanarConfiguration = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-10.5, 20.25, 7], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.75], "2.5"
    return ds


def ct(**more):
    ds = dataset("MONOCHROME2", 12, 16, 16, signed=1)
    ds.RescaleSlope, ds.RescaleIntercept = "1.5", "-24"
    ds.WindowCenter, ds.WindowWidth = ["40", "-600.5"], ["400", "1500"]
    ds.PixelData = CT.tobytes()
    for key, value in more.items():
        setattr(ds, key, value)
    return ds


def save(ds, name, syntax=ExplicitVRLittleEndian):
    if "file_meta" not in ds:
        ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    path = os.path.join(OUT, name + ".dcm")
    ds["PixelData"].is_undefined_length = syntax.is_encapsulated
    ds.save_as(path, enforce_file_format=True)
    expect(name)


def expect(name):
    ds = pydicom.dcmread(os.path.join(OUT, name + ".dcm"))
    stored = pixel_array(ds, raw=True)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(stored, ds) / 257.0
    elif ds.SamplesPerPixel == 3:
        values = pixel_array(ds)
    elif "SharedFunctionalGroupsSequence" in ds:
        slopes = [f.PixelValueTransformationSequence[0].RescaleSlope for f in ds.PerFrameFunctionalGroupsSequence]
        values = stored * np.array(slopes, float)[:, None, None] + 3
    else:
        values = apply_modality_lut(stored, ds)
    expected[name + ".stored"] = np.ascontiguousarray(stored.astype(np.uint32).view(np.int32) if stored.dtype == np.uint32
                                                      else stored.astype(np.int32))
    expected[name + ".values"] = np.ascontiguousarray(values.astype(np.float32))


def native():
    save(ct(), "explicit")
    save(ct(), "implicit", ImplicitVRLittleEndian)
    save(ct(), "deflated", DeflatedExplicitVRLittleEndian)
    ds = ct(PixelData=CT.astype(">i2").tobytes())
    ds.set_original_encoding(False, False)
    save(ds, "big", ExplicitVRBigEndian)
    ds = dataset("MONOCHROME1", 12, 16, 16, stored=12)
    ds.PixelData = (CT.astype(np.int32) - CT.min()).clip(0, 4095).astype(np.uint16).tobytes()
    save(ds, "monochrome1")
    ds = dataset("MONOCHROME2", 4, 4, 32)
    ds.PixelData = (np.arange(16, dtype=np.uint64) * 286331153).astype(np.uint32).tobytes()
    save(ds, "unsigned32")
    ds = dataset("MONOCHROME2", 5, 7, 1, frames=3)
    ds.PixelData = pack_bits((np.arange(105) % 3 == 0).astype(np.uint8).reshape(3, 5, 7))
    save(ds, "bits")
    grey = np.arange(192, dtype=np.uint8)
    ds = dataset("PALETTE COLOR", 12, 16, 8)
    ds.PixelData = grey.tobytes()
    for name, step in (("Red", 300), ("Green", 250), ("Blue", 200)):
        setattr(ds, name + "PaletteColorLookupTableDescriptor", [150, 5, 16])
        setattr(ds, name + "PaletteColorLookupTableData", (np.arange(150) * step).astype("<u2").tobytes())
    save(ds, "palette")
    ds = dataset("MONOCHROME2", 12, 16, 8)
    ds.PixelData = grey.tobytes()
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [100, 20, 16], "US"
    table.add_new(0x00283006, "US", [i * i for i in range(100)])
    ds.ModalityLUTSequence = Sequence([table])
    save(ds, "table")


def groups():
    """An enhanced multi-frame file: positions and slopes of single frames in functional groups."""
    ds = dataset("MONOCHROME2", 12, 16, 16, frames=3)
    del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, ds.SliceThickness
    ds.PixelData = np.stack([CT - CT.min() + k for k in range(3)]).astype(np.uint16).tobytes()
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], "2.5"
    plane.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in range(3):
        frame, position, rescale = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [10 - 2.5 * k, 1, 2]
        rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = "3", str(k + 1), "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Sequence([position]), Sequence([rescale])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    save(ds, "groups")


def colours():
    for photometric in ("RGB", "YBR_FULL"):
        for planar in (0, 1):
            ds = dataset(photometric, 12, 16, 8, frames=2, samples=3)
            ds.PlanarConfiguration = planar
            ds.PixelData = (COLOUR.transpose(0, 3, 1, 2) if planar else COLOUR).tobytes()
            save(ds, "%s_%d" % (photometric.lower(), planar))
    y, b, r = COLOUR[..., 0], COLOUR[:, :, ::2, 1], COLOUR[:, :, ::2, 2]
    ds = dataset("YBR_FULL_422", 12, 16, 8, frames=2, samples=3)
    ds.PixelData = np.stack([y[:, :, ::2], y[:, :, 1::2], b, r], -1).tobytes()
    save(ds, "ybr_422")


def picture(frame, form, **options):
    out = io.BytesIO()
    Image.fromarray(frame).save(out, form, **options)
    return out.getvalue()


def compressed():
    ds = ct()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.compress(RLELossless, generate_instance_uid=False)
    save(ds, "rle", RLELossless)
    ds = dataset("RGB", 12, 16, 8, frames=2, samples=3)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = COLOUR.tobytes()
    ds.compress(RLELossless, generate_instance_uid=False)
    save(ds, "rle_rgb", RLELossless)
    for name, sampling, photometric in (("jpeg_444", "4:4:4", "YBR_FULL"), ("jpeg_422", "4:2:2", "YBR_FULL_422")):
        ds = dataset(photometric, 12, 16, 8, frames=2, samples=3)
        ds.PixelData = encapsulate([picture(f, "JPEG", quality=90, subsampling=sampling) for f in COLOUR])
        save(ds, name, JPEGBaseline8Bit)
    # Two frames in five pieces without a table of offsets.
    stream = [picture(f, "JPEG", quality=90) for f in COLOUR[..., 0]]
    ds = dataset("MONOCHROME2", 12, 16, 8, frames=2)
    ds.PixelData = encapsulate([stream[0][:200], stream[0][200:], stream[1][:100], stream[1][100:260], stream[1][260:]],
                               has_bot=False)
    save(ds, "jpeg_pieces", JPEGBaseline8Bit)
    rgb = np.tile(COLOUR[0], (4, 4, 1))
    ds = dataset("YBR_RCT", 48, 64, 8, samples=3)
    ds.PixelData = encapsulate([picture(rgb, "JPEG2000", irreversible=False, no_jp2=True, mct=1)])
    save(ds, "j2k_rct", JPEG2000Lossless)
    # GDCM writes the others, of 16 bits with a sign.
    for name, syntax in (("jpeg_lossless", gdcm.TransferSyntax.JPEGLosslessProcess14_1),
                         ("jpeg_ls", gdcm.TransferSyntax.JPEGLSLossless), ("j2k", gdcm.TransferSyntax.JPEG2000Lossless)):
        through_gdcm("explicit", name, syntax)
    # As CharLS of before 2.3 had it: a byte of zeros before the end.
    ds = pydicom.dcmread(os.path.join(OUT, "jpeg_ls.dcm"))
    at = ds.PixelData.rindex(b"\xff\xd9")
    stream = ds.PixelData[ds.PixelData.index(b"\xff\xd8"):at] + b"\0\xff\xd9"
    ds.PixelData = encapsulate([stream])
    expected["jpeg_ls_zero.stored"], expected["jpeg_ls_zero.values"] = expected["jpeg_ls.stored"], expected["jpeg_ls.values"]
    ds["PixelData"].is_undefined_length = True
    ds.save_as(os.path.join(OUT, "jpeg_ls_zero.dcm"))


def through_gdcm(source, name, syntax):
    reader = gdcm.ImageReader()
    reader.SetFileName(os.path.join(OUT, source + ".dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(os.path.join(OUT, name + ".dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    expect(name)


shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
native()
groups()
colours()
compressed()
save_file(expected, os.path.join(HERE, "dicom.safetensors"))
