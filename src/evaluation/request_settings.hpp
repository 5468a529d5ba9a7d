#pragma once

#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/pipeline/pipeline.hpp"

namespace daguerre::evaluation {

/// What a request for pictures says, by name, for the description of a job: that which is not given is left
/// out; prompts, class, seed and count are the items'. Throws ArgumentError for what has no short name:
/// pictures, latents or noise to start from, controls, image prompts, films, objects of the host's.
nlohmann::json request_settings(const Request& request);
/// The files of the request's LoRAs and textual inversions.
std::vector<std::filesystem::path> request_files(const Request& request);

}  // namespace daguerre::evaluation
