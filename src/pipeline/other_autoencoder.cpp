#include "daguerre/pipeline/other_autoencoder.hpp"

#include <system_error>

#include "core/attempt.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/component_registry.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

constexpr const char* autoencoder_part = "vae";

ComponentSource autoencoder_in_folder(const std::filesystem::path& folder, const SourceOptions& options) {
  if (is_file(folder / "model_index.json")) return ModelSource::open(folder, options).part(autoencoder_part);
  const auto config = Config::load(folder / "config.json");
  ComponentSource part{autoencoder_part, "diffusers", config.class_name()};
  part.folder = folder;
  part.variant = options.variant;
  if (!part.class_name.starts_with("Autoencoder"))
    throw ConfigError(pipeline_name,
                      folder.string() + ": the config.json is of " +
                          (part.class_name.empty() ? "no class" : in_quotes(part.class_name)) +
                          ", expected an autoencoder's, AutoencoderKL or AutoencoderTiny",
                      folder / "config.json");
  return part;
}

ComponentSource autoencoder_in_file(const ModelSource* model, const std::filesystem::path& file,
                                    const SourceOptions& options) {
  const auto checkpoint = naming(file, [&] {
    return weights::open_checkpoint(
        file, {.ema = options.ema, .file = {.allow_trailing_bytes = options.allow_trailing_bytes}});
  });
  const auto* found = checkpoint.find(autoencoder_part);
  if (found == nullptr)
    throw ConfigError(pipeline_name, file.string() + " is " + checkpoint.title + " and holds no autoencoder",
                      file);
  ComponentSource part{autoencoder_part, found->library, found->class_name};
  const auto own = model != nullptr ? model->find(autoencoder_part) : std::nullopt;
  part.given_config = own && own->class_name == found->class_name ? own->config() : found->config;
  part.given_weights = found->weights;
  return part;
}

ComponentSource autoencoder_at(const ModelSource* model, const std::filesystem::path& path,
                               const SourceOptions& options) {
  return is_folder(path) ? autoencoder_in_folder(path, options) : autoencoder_in_file(model, path, options);
}

}  // namespace

ModelSource with_autoencoder(const ModelSource& model, const std::filesystem::path& path,
                             const SourceOptions& options) {
  return model.with(autoencoder_at(&model, path, options));
}

std::shared_ptr<const Autoencoder> load_autoencoder(const std::filesystem::path& path,
                                                    const LoadOptions& options) {
  return naming(path, [&] {
    const auto part = autoencoder_at(nullptr, path, options.source ? *options.source : SourceOptions());
    const auto engine =
        options.engines ? options.engines->make(options.engine) : ops::make_engine(options.engine);
    const LoadContext context{
        .compute = {.engine = engine,
                    .threads = options.threads == 0 ? available_threads() : options.threads,
                    .pool = {},
                    .stop = options.stop,
                    .profile = {}},
        .precision = resolved(options.precision, *engine),
        .allow_trailing_bytes = options.allow_trailing_bytes,
        .log = options.log};
    const auto registry = options.components ? *options.components : ComponentRegistry::standard();
    return registry.open_autoencoder(part, context).load(context);
  });
}

}  // namespace daguerre
