/*
 * Breaking qcow2 images for a fuzzer: the mutator knows where headers, tables and entries are.
 *
 * It finds the structures of an image that may be broken already, and writes what hurts: offsets of other structures,
 * aligned or just not, with flags; counts off by one; extremes; rows of entries; clusters copied over others; files cut
 * and grown. Linking mutate-image.c gives a target LLVMFuzzerCustomMutator() and LLVMFuzzerCustomCrossOver().
 *
 * Thread safe: nothing here has state. The same seed changes the same image in the same way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_MUTATE_IMAGE_H
#define TESTS_FUZZ_MUTATE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Changes the image of @size bytes at @bytes, where there is room for @max_size; returns its new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned int seed);

/* Puts clusters of the second image in the place of those of the first, at @out; returns the size of the result. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *out, size_t max_size, unsigned int seed);

/* libFuzzer's own mutation of bytes. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);

#endif
