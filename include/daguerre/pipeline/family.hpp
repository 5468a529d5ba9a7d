#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/task.hpp"

namespace daguerre {

/// The parts of a loaded model. Copies share them. Some may be loaded when they are used: what uses them more
/// than once holds a lease meanwhile.
struct Components {
  std::map<std::string, std::shared_ptr<const TextEncoder>, std::less<>> text_encoders;
  std::shared_ptr<const Denoiser> denoiser;
  std::shared_ptr<const Autoencoder> autoencoder;  ///< one that does nothing where the model works in pixels
  Config index;                                    ///< model_index.json, with the pipeline's own settings

  /// The text encoder of that name. Throws ArgumentError where it is not there (any more).
  const TextEncoder& text_encoder(std::string_view name) const;
  /// One of each text encoder's.
  std::vector<Lease> lease_text_encoders() const;
};

/// What may stand in a model folder, and what it is for.
struct Part {
  enum class Kind { text_encoder, denoiser, autoencoder };
  Kind kind = Kind::denoiser;
  std::string name;                      ///< "unet"
  std::vector<std::string> class_names;  ///< that the family can use, from the component registry
  std::string tokenizer{};               ///< of a text encoder: the part that reads its prompts
  bool required = true;
};

/// A class that model_index.json may name, and what its constructor does to the scheduler that it is given.
struct PipelineClass {
  std::string name;
  std::string scheduler_overrides = "{}";  ///< keys that it sets, a JSON object
  std::string scheduler_class{};           ///< that it turns any scheduler into; empty: it takes it as it is
};

/// What a family's pictures are made from.
struct Tasks {
  bool prompt = false;       ///< reads a prompt
  bool classes = false;      ///< takes a class
  bool guidance = true;      ///< can be guided
  bool image = false;        ///< can start from a picture, and paint over parts of it
  bool needs_image = false;  ///< every picture is made from another one, which joins the channels
};

/// What is not given.
struct Defaults {
  int steps = 50;
  float guidance_scale = 7.5f;
  double strength = 0.8;       ///< from a picture
  double mask_strength = 1.0;  ///< with a mask
};

/// Which of a picture's conditions is made.
enum class Side { positive, negative };

/// A kind of model, as a value: what it consists of and how its condition is made. Everything else is the
/// same for all.
struct Family {
  std::string name;   ///< "sdxl"
  std::string title;  ///< in messages: "Stable Diffusion XL"
  std::vector<PipelineClass> classes;
  std::vector<Part> parts;
  Tasks tasks;
  Defaults defaults;
  /// One side of the condition of one picture, `[1, ...]`.
  std::function<Conditioning(const ops::Context& context, const Components& components, const Task& task,
                             const Prompt& prompt, Side side)>
      condition;
  /// How predictions are combined.
  std::function<std::shared_ptr<const Guider>(const Guidance& guidance, const DenoiserInfo& denoiser)>
      guider = standard_guider;

  /// nullptr when there is no part of that kind, or none of that name.
  const Part* part(Part::Kind kind) const noexcept;
};

/// The families that a model may belong to. A value: a host adds its own to a copy of the standard one.
class FamilyRegistry {
 public:
  /// The library's own.
  static FamilyRegistry standard();
  /// Replaces one of the same name.
  void add(Family family);
  /// The family with that pipeline class. Throws ConfigError in the name of `source`, listing the classes
  /// there are.
  const Family& of_class(std::string_view class_name, const std::string& source) const;
  /// The class itself.
  static const PipelineClass& pipeline_class(const Family& family, std::string_view class_name);
  std::vector<std::string> names() const;

 private:
  std::vector<Family> families_;
};

}  // namespace daguerre
