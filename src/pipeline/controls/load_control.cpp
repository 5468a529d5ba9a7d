#include <array>
#include <system_error>

#include "core/attempt.hpp"
#include "core/paths.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/weights/key_map.hpp"
#include "pipeline/controls/controls.hpp"
#include "pipeline/name.hpp"
#include "weights/control_configs.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

struct ControlClass {
  const char* name;
  Opened<Control> (*open)(const ComponentSource&, const LoadContext&);
};
constexpr std::array<ControlClass, 5> control_classes{{{"ControlNetModel", open_control_net},
                                                       {"SparseControlNetModel", open_control_net},
                                                       {"T2IAdapter", open_t2i_adapter},
                                                       {"SD3ControlNetModel", open_sd3_control_net},
                                                       {"FluxControlNetModel", open_flux_control_net}}};

const ControlClass* find_control_class(const std::string& name) {
  for (const auto& known : control_classes)
    if (known.name == name) return &known;
  return nullptr;
}

/// The configuration beside a file, where it is a control's.
std::optional<Config> config_beside(const fs::path& file) {
  const auto path = file.parent_path() / "config.json";
  if (!is_file(path)) return std::nullopt;
  auto config = Config::load(path);
  if (find_control_class(config.class_name()) == nullptr) return std::nullopt;
  return config;
}

}  // namespace

ComponentSource control_source(const fs::path& path, Index space_ratio,
                               const weights::SafetensorsOptions& options) {
  ComponentSource source{.name = model_name(path), .library = "diffusers", .class_name = {}};
  if (is_folder(path)) {
    source.folder = path;
    if (!is_file(path / "config.json"))
      throw FileError(pipeline_name,
                      path.string() +
                          ": there is no config.json: expected the folder of a ControlNet or "
                          "T2I-Adapter in diffusers' layout, or one file",
                      path);
    source.class_name = Config::load(path / "config.json").class_name();
    return source;
  }
  source.name = path.stem().string();
  const auto stored = weights::StateDict::load(path, options);
  source.given_weights = weights::with_diffusers_names(stored);
  auto config = config_beside(path);
  if (!config) config = weights::control_config(*source.given_weights, space_ratio, path.string());
  if (!config)
    throw ConfigError(pipeline_name,
                      path.string() +
                          " is not recognised as a ControlNet or T2I-Adapter: it has none of "
                          "controlnet_cond_embedding.conv_in.weight, input_hint_block.0.weight, "
                          "body.0.block1.weight, pos_embed_input.proj.weight and "
                          "controlnet_x_embedder.weight",
                      path);
  source.class_name = config->class_name();
  source.given_config = std::move(config);
  return source;
}

std::shared_ptr<const Control> load_control(const ComponentSource& source, const Model& model,
                                            const LoadContext& context) {
  const auto* known = find_control_class(source.class_name);
  if (known == nullptr) {
    std::string names;
    for (const auto& each : control_classes) names += (names.empty() ? "" : ", ") + std::string(each.name);
    throw ConfigError(pipeline_name, source.config_path() + ": class \"" + source.class_name +
                                         "\" is no control; supported are: " + names);
  }
  const auto opened = naming(source.config_file(), [&] {
    auto result = known->open(source, context);
    check_control_fit(result.info, model);
    return result;
  });
  return opened.load(context);
}

std::shared_ptr<const Control> load_control(const fs::path& path, const Model& model,
                                            const LoadContext& context) {
  return naming(path, [&] {
    return load_control(control_source(path, model.format().space_ratio,
                                       {.allow_trailing_bytes = context.allow_trailing_bytes,
                                        .threads = context.compute.threads}),
                        model, context);
  });
}

}  // namespace daguerre
