# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the fields of a qcow2 image are. Every integer in the file is big-endian."""

MAGIC = 0x514649FB

# name: (offset, bytes)
HEADER_V2 = {
    "magic": (0, 4),
    "version": (4, 4),
    "backing_file_offset": (8, 8),
    "backing_file_size": (16, 4),
    "cluster_bits": (20, 4),
    "size": (24, 8),
    "crypt_method": (32, 4),
    "l1_size": (36, 4),
    "l1_table_offset": (40, 8),
    "refcount_table_offset": (48, 8),
    "refcount_table_clusters": (56, 4),
    "nb_snapshots": (60, 4),
    "snapshots_offset": (64, 8),
}
HEADER_V3 = {
    "incompatible_features": (72, 8),
    "compatible_features": (80, 8),
    "autoclear_features": (88, 8),
    "refcount_order": (96, 4),
    "header_length": (100, 4),
    "compression_type": (104, 1),
}
HEADER = {**HEADER_V2, **HEADER_V3}
HEADER_V2_LENGTH = 72
HEADER_V3_LENGTH = 112

INCOMPATIBLE = {"dirty": 0x1, "corrupt": 0x2, "data_file": 0x4, "compression": 0x8, "extended_l2": 0x10}
COMPATIBLE = {"lazy": 0x1}
AUTOCLEAR = {"bitmaps": 0x1, "raw_data": 0x2}

EXT_END = 0
EXT_BACKING_FORMAT = 0xE2792ACA
EXT_FEATURE_NAMES = 0x6803F857
EXT_BITMAPS = 0x23852875
EXT_CRYPT = 0x0537BE77
EXT_DATA_FILE = 0x44415441
EXT_NAMES = {
    EXT_BACKING_FORMAT: "backing-format",
    EXT_FEATURE_NAMES: "feature-names",
    EXT_BITMAPS: "bitmaps",
    EXT_CRYPT: "crypt",
    EXT_DATA_FILE: "data-file",
}

# Payloads of the extensions that point somewhere.
CRYPT_FIELDS = {"offset": (0, 8), "length": (8, 8)}
BITMAPS_FIELDS = {"nb_bitmaps": (0, 4), "reserved": (4, 4), "size": (8, 8), "offset": (16, 8)}
BITMAPS_LENGTH = 24

COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1
L1_OFFSET = 0x00FFFFFFFFFFFE00
L1_RESERVED = 0x7F000000000001FF
L2_OFFSET = 0x00FFFFFFFFFFFE00
REFTABLE_OFFSET = 0xFFFFFFFFFFFFFE00
BITMAP_OFFSET = 0x00FFFFFFFFFFFE00
BITMAP_RESERVED = 0xFF000000000001FE

SNAPSHOT_FIELDS = {
    "l1_table_offset": (0, 8),
    "l1_size": (8, 4),
    "id_size": (12, 2),
    "name_size": (14, 2),
    "date_sec": (16, 4),
    "date_nsec": (20, 4),
    "vm_clock_nsec": (24, 8),
    "vm_state_size": (32, 4),
    "extra_size": (36, 4),
}
SNAPSHOT_FIXED = 40
# These exist as far as extra_size reaches.
SNAPSHOT_EXTRA_FIELDS = {"vm_state_size_large": (40, 8), "disk_size": (48, 8), "icount": (56, 8)}
SNAPSHOT_MAX_EXTRA = 1024
MAX_SNAPSHOTS = 65536
MAX_SNAPSHOT_TABLE = 64 << 20
MAX_L1_ENTRIES = 4194304

BITMAP_FIELDS = {
    "table_offset": (0, 8),
    "table_size": (8, 4),
    "flags": (12, 4),
    "type": (16, 1),
    "granularity_bits": (17, 1),
    "name_size": (18, 2),
    "extra_size": (20, 4),
}
BITMAP_FIXED = 24
BITMAP_IN_USE = 1
BITMAP_AUTO = 2


def align_up(value, unit):
    return -(-value // unit) * unit


def compressed_extent(word, cluster_bits):
    """Offset and length in bytes of the stream that a compressed L2 entry names."""
    width = 70 - cluster_bits
    offset = word & ((1 << width) - 1)
    sectors = (word >> width) & ((1 << (cluster_bits - 8)) - 1)
    return offset, (sectors + 1) * 512 - offset % 512


def compressed_word(offset, length, cluster_bits):
    """The L2 entry of a compressed stream of length bytes at offset."""
    sectors = (offset + length - 1) // 512 - offset // 512
    if sectors >= 1 << (cluster_bits - 8):
        raise ValueError(f"a compressed stream of {length} bytes at {offset} does not fit an entry")
    return COMPRESSED | sectors << (70 - cluster_bits) | offset
