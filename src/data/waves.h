/* waves.h - sound on its way from the file to the network: steps of a pipeline (transform.h) that work on samples.
 * "rate" stands first and says the rate of all that follows; without it clips keep their own. Steps draw by (seed,
 * epoch, index of the clip) alone. */
#ifndef TLUA_WAVES_H
#define TLUA_WAVES_H

#include "data/source.h"
#include "data/transform.h"

/* The rate of what comes out; 0: each clip's own. */
int tl__wave_rate(const tl_pipeline *p);
/* Does a step add sound of others? */
int tl__wave_needs_noise(const tl_pipeline *p);
/* The most samples that come out for a clip, whatever is drawn. */
int64_t tl__wave_longest(const tl_pipeline *p, tl_clip clip);
/* Reads clip i and runs the steps: `out` has what the network is fed. Of a clip that is cropped first only that part is
 * decoded. `noise` may be NULL where no step needs it. 0 or -1. */
int tl__wave_make(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                  const tl_source *source, const tl_source *noise, int64_t i, tl_wave *out);
/* The steps alone, on `wave` in place. */
int tl__wave_run(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                 const tl_source *noise, tl_wave *wave);

#endif
