#include "daguerre/models/text_encoders/clip_text-inl.hpp"

namespace daguerre::models {

template class ClipText<float>;
template class ClipText<bfloat16>;

}  // namespace daguerre::models
