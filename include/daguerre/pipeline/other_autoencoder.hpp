#pragma once

#include <filesystem>
#include <memory>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/pipeline.hpp"

namespace daguerre {

/// `model` with another autoencoder: a folder in diffusers' layout (the part's own, with config.json, or a
/// whole model's), or a file that holds one, see weights::open_checkpoint. A file tells its tensors and not
/// how latents are scaled: where the model's own is of the same class, its configuration is kept. Throws
/// FileError, FormatError or ConfigError for what holds no autoencoder, or one of a class that no model has;
/// whether it fits the denoiser shows when the model is loaded.
ModelSource with_autoencoder(const ModelSource& model, const std::filesystem::path& path,
                             const SourceOptions& options = {});

/// Such an autoencoder by itself, for previews (Request::Output::preview). Throws what with_autoencoder and
/// loading throw.
std::shared_ptr<const Autoencoder> load_autoencoder(const std::filesystem::path& path,
                                                    const LoadOptions& options = {});

}  // namespace daguerre
