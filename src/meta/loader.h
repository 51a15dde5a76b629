#pragma once

#include "meta/delta.h"
#include "wire/record_batch.h"

/*
 * From the batches of the metadata log to images.
 *
 * Every batch yields an image, except inside a metadata transaction: its records take effect
 * together at its end, or not at all. Belongs to one thread at a time.
 */
struct meta_loader;

/* Starts from that image, of which it holds a reference. */
struct meta_loader *meta_loader_new(struct meta_image *image);
void meta_loader_free(struct meta_loader *loader); /* accepts NULL */

/*
 * Takes the next batch of the log, checked by meta_batch_check. Of control batches only their place
 * in the log counts. On an error the loader is of no use any more and meta_loader_error says which
 * record is wrong and why: the log was written by something newer, or it is not what was written.
 */
err_t meta_loader_batch(struct meta_loader *loader, const struct record_batch *batch);
const char *meta_loader_error(const struct meta_loader *loader);

/* Takes out the next image that is ready, with what changed since the one before; both are the
 * caller's (meta_image_unref, meta_changes_free). False when there is none. */
bool meta_loader_take(struct meta_loader *loader, struct meta_image **ret_image,
                      struct meta_changes **ret_changes);

/* The newest image that is ready, taken or not; borrowed. */
struct meta_image *meta_loader_image(const struct meta_loader *loader);

/* Whether a metadata transaction is open: the log is ahead of the image. */
bool meta_loader_in_transaction(const struct meta_loader *loader);

/* The changes from nothing to this image. */
struct meta_changes *meta_changes_of_all(const struct meta_image *image);
