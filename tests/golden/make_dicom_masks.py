"""Goldens of src/data/series_mask.c: an oblique series of five small slices, and masks of it as DICOM SEG objects (of
one bit, of fractions, of labels) and as NIfTI volumes, in another order and turned about. What they mark is known by
formula here.

    python tests/golden/make_dicom_masks.py    writes tests/golden/dicom_masks/ and tests/golden/dicom_masks.safetensors"""
import os
import shutil

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "dicom_masks")
SLICES, ROWS, COLUMNS = 5, 7, 9
SPACING, THICK = (0.8, 0.6), 2.5  # between rows, between columns; between slices
turn = np.deg2rad(20)
ROW = np.array([np.cos(turn), np.sin(turn), 0])
COLUMN = np.array([-np.sin(turn), np.cos(turn), 0])
NORMAL = np.cross(ROW, COLUMN)
FIRST = np.array([-12.5, 31.25, -7])
Z, Y, X = np.mgrid[0:SLICES, 0:ROWS, 0:COLUMNS]
MASK = np.where((X - 4) ** 2 + (Y - 3) ** 2 + (2 * Z - 4) ** 2 < 9, 1, 0) + np.where((X > 6) & (Z > 2), 2, 0)
MASK = MASK.astype(np.uint8)


def save(ds, path, syntax=ExplicitVRLittleEndian):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(os.path.join(OUT, path), enforce_file_format=True)


def place(k):
    return [f"{v:.10g}" for v in FIRST + k * THICK * NORMAL]


def base(modality, rows, columns, bits, series):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.826.0.8.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.826.0.8.2", series, modality
    ds.PatientID = "P-1"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    return ds


def slices():
    os.makedirs(os.path.join(OUT, "p1/scan"))
    for k in range(SLICES):
        ds = base("MR", ROWS, COLUMNS, 16, "1.2.826.0.8.3")
        ds.InstanceNumber = str(SLICES - k)
        ds.PixelSpacing, ds.ImagePositionPatient = [str(SPACING[0]), str(SPACING[1])], place(k)
        ds.ImageOrientationPatient = [f"{v:.10g}" for v in np.concatenate([ROW, COLUMN])]
        ds.PixelData = (100 * k + X[k] + 10 * Y[k]).astype(np.uint16).tobytes()
        save(ds, f"p1/scan/{(k * 3) % SLICES}.dcm")


def segments(ds, labels):
    ds.SegmentSequence = Sequence()
    for number, label in labels:
        s = Dataset()
        s.SegmentNumber, s.SegmentLabel, s.SegmentAlgorithmType = number, label, "MANUAL"
        ds.SegmentSequence.append(s)


def seg(path, kind, frames, syntax=ExplicitVRLittleEndian, labels=((3, "lesion"), (7, "Edge")), move=0.0):
    """frames: (segment, slice, plane of numbers)"""
    ds = base("SEG", ROWS, COLUMNS, 1 if kind == "BINARY" else 8, "1.2.826.0.8.4")
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    ds.SegmentationType, ds.NumberOfFrames = kind, len(frames)
    if kind == "FRACTIONAL":
        ds.SegmentationFractionalType, ds.MaximumFractionalValue = "PROBABILITY", 100
    reference = Dataset()
    reference.SeriesInstanceUID = "1.2.826.0.8.3"
    ds.ReferencedSeriesSequence = Sequence([reference])
    segments(ds, labels)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [str(SPACING[0]), str(SPACING[1])], str(THICK)
    orientation.ImageOrientationPatient = [f"{v:.10g}" for v in np.concatenate([ROW, COLUMN])]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence()
    for number, k, _ in frames:
        group, position, which = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = place(k + move)
        group.PlanePositionSequence = Sequence([position])
        if number:
            which.ReferencedSegmentNumber = number
            group.SegmentIdentificationSequence = Sequence([which])
        ds.PerFrameFunctionalGroupsSequence.append(group)
    planes = np.stack([p for _, _, p in frames]).astype(np.uint8)
    ds.PixelData = pack_bits(planes) if kind == "BINARY" else planes.tobytes() + b"\0" * (planes.size % 2)
    save(ds, path, syntax)


def nifti(path, flips, order, move=0.0):
    """The mask as an array whose axes go another way, and the affine that says so."""
    data = MASK.transpose(2, 1, 0)  # columns, rows, slices
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = ROW * SPACING[1], COLUMN * SPACING[0], NORMAL * THICK
    affine[:3, 3] = FIRST + move * ROW * SPACING[1]
    affine[:2] *= -1  # LPS to RAS
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
        data = np.flip(data, axis)
    data = data.transpose(order)
    affine = affine[:, list(order) + [3]]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(data), affine), os.path.join(OUT, path))


shutil.rmtree(OUT, ignore_errors=True)
slices()
lesion, edge = (MASK & 1) > 0, (MASK & 2) > 0
frames = [(3, k, lesion[k]) for k in (4, 1, 2, 3) if lesion[k].any()] + [(7, k, edge[k] & ~lesion[k]) for k in (3, 4)]
seg("bits.dcm", "BINARY", frames)
seg("implicit.dcm", "BINARY", frames, ImplicitVRLittleEndian)
seg("moved.dcm", "BINARY", frames, move=0.4)
seg("fractions.dcm", "FRACTIONAL", [(n, k, np.where(p, 50 + 5 * Y[k], 5 * Y[k] + 17)) for n, k, p in frames])
seg("map.dcm", "LABELMAP", [(0, k, np.where(lesion[k], 3, np.where(edge[k], 7, 0))) for k in (2, 0, 4, 3, 1)])
shutil.copy(os.path.join(OUT, "bits.dcm"), os.path.join(HERE, "dicom", "seg.dcm"))  # an input of the fuzzer
nifti("plain.nii.gz", (), (0, 1, 2))
nifti("turned.nii", (1, 2), (2, 0, 1))
nifti("moved.nii", (), (0, 1, 2), move=0.5)
expected = np.where(lesion, 3, np.where(edge, 7, 0)).astype(np.int32)
save_file({"object": expected, "volume": np.ascontiguousarray(MASK.astype(np.int32))},
          os.path.join(HERE, "dicom_masks.safetensors"))
print(MASK.sum(), sorted(os.listdir(OUT)))
