#pragma once

#include "daguerre/pipeline/preparation.hpp"

namespace daguerre::families {

/// LTX-Video's second stage. From a prompt alone films begin with noise. A picture that is the first frame is
/// what it is: its latents are beside those that the sampler sees in every call, their tokens at time 0
/// (diffusers' LTXImageToVideoPipeline). Any other conditions: as below.
void prepare_ltx(const Preparation& of, Start& start);

/// Pictures and clips at any frames, each as strong as is asked (diffusers' LTXConditionPipeline). What is at
/// the first frame takes the place of its latents; of what is later, two latent frames at most come before
/// the film's as frames of their own, whose positions say where they belong, and the rest of a clip takes its
/// place. A frame is held until the noise falls to what its strength leaves; those of full strength get a
/// little new noise before each call. Frames that came before the film's are dropped at the end.
void prepare_ltx_conditions(const Preparation& of, Start& start);

}  // namespace daguerre::families
