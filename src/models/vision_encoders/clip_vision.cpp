#include "daguerre/models/vision_encoders/clip_vision-inl.hpp"

namespace daguerre::models {

template class ClipVision<float>;
template class ClipVision<bfloat16>;

}  // namespace daguerre::models
