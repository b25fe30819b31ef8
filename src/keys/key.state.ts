/** Keys `k` whose secret is to be replaced by now; the values are that moment, twice. One that works no more is never due. */
export const isRotationDue =
  'k.auto_rotate and k.key_rotation_at <= ? and not k.blocked and (k.expires_at is null or k.expires_at > ?)';
