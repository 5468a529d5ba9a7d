#pragma once

#include <string>

#include "daguerre/config/config.hpp"
#include "weights/denoiser_kinds.hpp"

/// Configurations of transformers as their tensors show them: what their folders' config.json would say. All
/// take weights under diffusers' and transformers' names, and throw WeightError where a tensor is missing
/// that every network of the kind has.
namespace daguerre::weights {

/// Heads are 64 wide, as published, where no norm of theirs shows it.
Config sd3_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source);
/// Heads are as wide as their norms. An eighth of a head turns by the first axis, the rest by rows and
/// columns: 16, 56 and 56 of the published 128.
Config flux_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source);
Config pixart_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source);
/// Heads are 128 wide, as published; VACE's hints are added at equal distances.
Config wan_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source);
/// Of a T5EncoderModel, or a UMT5EncoderModel where every layer has a table of its own.
Config t5_config(const StateDict& weights, const std::string& source);
bool is_umt5(const StateDict& weights);

}  // namespace daguerre::weights
