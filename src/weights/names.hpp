#pragma once

#include <string_view>

namespace daguerre::weights {

/// Who speaks in messages: the reader of safetensors files, and what is above files.
inline constexpr std::string_view safetensors_name = "safetensors";
inline constexpr std::string_view weights_name = "weights";

/// What to do with a pickle checkpoint; follows the statement that a file is one.
inline constexpr std::string_view pickle_conversion_hint =
    "; convert it in Python: safetensors.torch.save_file(torch.load(\"FILE\", weights_only=True), "
    "\"model.safetensors\")";

}  // namespace daguerre::weights
